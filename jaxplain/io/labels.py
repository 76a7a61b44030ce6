"""Labels and class names: one whole number per image (-1 = unlabeled), or 0/1 columns for several labels at once."""

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxplain._errors import InputError, did_you_mean

PATH_COLUMN = "path"
LABEL_COLUMN = "label"


@dataclass(frozen=True)
class Labels:
    """Labels of all images: ``values`` is int64 (N,) or uint8 (N, L); ``names`` are the classes, if known."""

    values: np.ndarray
    names: tuple[str, ...] | None = None


def check_labels(values: np.ndarray, n: int, names: Sequence[str] | None, where: str) -> Labels:
    """Bring labels of ``n`` images into one of the two forms and test every value.

    Args:
        values: Integers (N,) or (N, 1), or 0/1 of shape (N, L) for several labels per image.
        n: Number of images.
        names: Class names, which bound the labels; None when unknown.
        where: Name of the file for messages.

    Raises:
        InputError: Wrong shape, dtype or number, or a label out of range; the message names the row.
    """
    values = np.asarray(values)
    known = None if names is None else tuple(str(name) for name in names)
    if values.dtype.kind not in "biu":
        raise InputError(f"{where}: labels must be whole numbers, got dtype {values.dtype}; store integers.")
    if len(values) != n or values.ndim not in (1, 2):
        raise InputError(f"{where}: expected labels for {n} images, got shape {values.shape}; give one row per image.")
    if values.ndim == 2 and values.shape[1] == 1 and not (known is not None and len(known) == 1):
        values = values[:, 0]
    if values.ndim == 2:
        wrong = np.argwhere((values != 0) & (values != 1))
        if len(wrong):
            row, column = wrong[0]
            raise InputError(f"{where}: row {row}, column {column} holds {values[row, column]}; expected 0 or 1.")
        if known is not None and len(known) != values.shape[1]:
            raise InputError(
                f"{where}: {values.shape[1]} label columns, but {len(known)} class names; make them equal."
            )
        return Labels(values.astype(np.uint8), known)
    high = len(known) if known is not None else np.iinfo(np.int32).max
    outside = np.flatnonzero((values.astype(np.int64) < -1) | (values.astype(np.int64) >= high))
    if len(outside):
        row = outside[0]
        bound = f"-1 (unlabeled) ... {high - 1}"
        raise InputError(f"{where}: row {row} holds label {values[row]}, outside {bound}; mend it or name all classes.")
    return Labels(values.astype(np.int64), known)


def read_label_csv(
    path: str | os.PathLike[str], n: int, images: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> Labels:
    """Read labels from a CSV file with a header.

    Either a column ``label`` (a class name or number, empty = unlabeled) or one 0/1 column per label. A column
    ``path`` says which image a row is about; without it row i is image i.

    Args:
        path: The CSV file.
        n: Number of images.
        images: Relative paths of the images, needed when the file has a column ``path``.
        names: Class names; default the sorted words of the column ``label``, or the names of the 0/1 columns.

    Raises:
        InputError: The file does not fit; the message names it, the line and the remedy.
    """
    where = os.fspath(path)
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            table = list(csv.reader(file))
    except FileNotFoundError:
        raise InputError(f"{where}: no such label file; check [labels] file.") from None
    except csv.Error as error:
        raise InputError(f"{where}: not a CSV file ({error}).") from error
    if len(table) < 2:
        raise InputError(f"{where}: expected a header and at least one row; got {len(table)} lines.")
    header, lines = [word.strip() for word in table[0]], [line for line in table[1:] if line]
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise InputError(f"{where}: row {number} has {len(line)} fields, the header {len(header)}; quote commas.")
    row_of = _row_of(where, header, lines, n, images)
    columns = [i for i, name in enumerate(header) if name != PATH_COLUMN]
    if LABEL_COLUMN in header:
        words = [line[header.index(LABEL_COLUMN)].strip() for line in lines]
        return word_labels(where, words, row_of, names)
    if not columns:
        raise InputError(f"{where}: expected a column {LABEL_COLUMN!r} or one 0/1 column per label, got {header}.")
    if (row_of < 0).any():
        missing = int(np.flatnonzero(row_of < 0)[0])
        shown = images[missing] if images is not None else missing
        raise InputError(f"{where}: image {shown!r} has no row; add it, 0 in every column means none of the labels.")
    wrong = [(r, c) for r, line in enumerate(lines) for c in columns if line[c].strip() not in ("0", "1")]
    if wrong:
        r, c = wrong[0]
        raise InputError(f"{where}: row {r + 1}, column {header[c]!r} holds {lines[r][c]!r}; expected 0 or 1.")
    values = np.array([[int(line[c]) for c in columns] for line in lines], np.uint8)[row_of]
    return check_labels(values, n, names if names is not None else [header[c] for c in columns], where)


def _row_of(where: str, header: list[str], lines: list[list[str]], n: int, images: Sequence[str] | None) -> np.ndarray:
    if PATH_COLUMN not in header or images is None:
        if images is not None:
            raise InputError(
                f"{where}: expected a column {PATH_COLUMN!r} with the images' relative paths, got {header}."
            )
        if len(lines) != n:
            raise InputError(f"{where}: {len(lines)} rows for {n} images; give one row per image.")
        return np.arange(n)
    column = header.index(PATH_COLUMN)
    row_by_path: dict[str, int] = {}
    for number, line in enumerate(lines):
        if line[column] in row_by_path:
            raise InputError(f"{where}: row {number + 1} names {line[column]!r} again; keep one row per image.")
        row_by_path[line[column]] = number
    found = np.array([row_by_path.get(path, -1) for path in images], np.int64)
    if (found < 0).all():
        raise InputError(
            f"{where}: no row names an image of the folder; its first image is {images[0]!r}, "
            f"the file's first row says {lines[0][column]!r}; write paths relative to the folder."
        )
    return found


def word_labels(where: str, words: Sequence[str], row_of: np.ndarray, names: Sequence[str] | None = None) -> Labels:
    """Return labels written as text, one word per image: all of them numbers, or names of classes; empty = unlabeled.

    Args:
        where: Name of the file for messages.
        words: The words.
        row_of: Which word belongs to each image, -1 for none.
        names: Class names; default the sorted words, where they are no numbers.

    Raises:
        InputError: A word that is no class, or a number out of range.
    """
    numeric = all(re.fullmatch(r"(-?[0-9]{1,9})?", word) for word in words)
    if names is None and not numeric:
        names = sorted({word for word in words if word})
    number_of = {str(name): i for i, name in enumerate(names or ())}
    values = np.full(len(words), -1, np.int64)
    for row, word in enumerate(words):
        if word in number_of:
            values[row] = number_of[word]
        elif numeric and word:
            values[row] = int(word)
        elif word:
            raise InputError(f"{where}: row {row + 1} holds {word!r}, no class; {did_you_mean(word, number_of)}")
    high = len(names) if names is not None else np.iinfo(np.int32).max
    wrong = np.flatnonzero((values < -1) | (values >= high))
    if len(wrong):
        row = wrong[0]
        raise InputError(f"{where}: row {row + 1} holds label {values[row]}, outside -1 (unlabeled) ... {high - 1}.")
    return check_labels(np.where(row_of < 0, -1, values[row_of]), len(row_of), names, where)
