"""The index of images in tar files of the WebDataset form: where every image lies, its label, its id.

Members of one sample share the part of their name before the first dot of the base name, their key: ``0001.jpg``,
``0001.cls``, ``0001.json``. The image is the member with one ending, that of an image (``0001.seg.png`` is none). The
label is the text of ``.cls``, else the entry ``label`` of ``.json``. The id is that of ``<archive>/<key>``, so it
depends neither on the other samples nor on where the archives lie.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.braces import archives
from jaxplain.io.index import SUFFIXES, Index, Members, image_id
from jaxplain.io.labels import word_labels
from jaxplain.io.names import Names, to_bytes
from jaxplain.io.tarfiles import Member, members

SHARD_INDEX = ".jaxplain-shards"
MAX_LABEL = 2**20
"""Larger members are not read for a label."""
_CLS, _JSON = "cls", "json"


@dataclass(frozen=True)
class _Sample:
    key: str
    image: Member
    label: str


def shard_index_place(where: str) -> str:
    """Return where the index of archives is kept: beside them, one per pattern.

    Example:
        >>> shard_index_place("/data/train-{00..99}.tar")
        '/data/.jaxplain-shards-66a2dbbe.npz'
    """
    if os.path.isdir(where):
        return os.path.join(where, f"{SHARD_INDEX}.npz")
    root = os.path.dirname(where.partition("{")[0])
    pattern = os.path.relpath(where, root or ".")
    return os.path.join(root, f"{SHARD_INDEX}-{hashlib.blake2b(to_bytes(pattern), digest_size=4).hexdigest()}.npz")


def build_shard_index(where: str) -> Index:
    """Read the headers of archives and describe their images, archive by archive in the order of the members.

    Args:
        where: A folder of ``.tar`` files, one such file, or a pattern of them.

    Raises:
        InputError: No images, an archive that cannot be trusted, or a sample that is ambiguous; it is named.
        OSError: The file system failed.
    """
    root, names = archives(where, ".tar")
    ids, sizes, offsets, paths = list[np.ndarray](), list[np.ndarray](), list[np.ndarray](), list[Names]()
    words, facts = list[str](), list[tuple[int, int]]()
    for name in names:
        path = os.path.join(root, name)
        facts.append(shard_facts(os.stat(path)))
        samples = list(_samples(path))  # of one archive at a time: there may be a hundred million in all
        if shard_facts(os.stat(path)) != facts[-1]:
            raise InputError(f"{path}: changed while it was indexed; index it again when it is whole.")
        ids.append(np.array([image_id(f"{name}/{sample.key}") for sample in samples], np.uint64))
        sizes.append(np.array([sample.image.size for sample in samples], np.int64))
        offsets.append(np.array([sample.image.offset for sample in samples], np.int64))
        paths.append(Names.of([f"{name}/{sample.image.name}" for sample in samples]))
        words += [sys.intern(sample.label) for sample in samples]
    if not words:
        raise InputError(f"{where}: no images; expected members ending in {', '.join(SUFFIXES)}.")
    id = np.concatenate(ids)
    if len(np.unique(id)) < len(id):
        raise InputError(f"{where}: two samples have the same 64-bit id; rename one of them.")
    shard = np.repeat(np.arange(len(names)), [len(one) for one in ids]).astype(np.int64)
    shard_size, times = np.array(facts, np.int64).T
    labels = word_labels(where, words, np.arange(len(words))) if any(words) else None
    return Index(
        id,
        np.concatenate(sizes),
        times[shard],
        np.full(len(words), -1, np.int64) if labels is None else labels.values,
        Names.joined(paths),
        None if labels is None else labels.names,
        Members(shard, np.concatenate(offsets), Names.of(names), np.ascontiguousarray(shard_size)),
    )


def shard_facts(facts: os.stat_result) -> tuple[int, int]:
    """Return what a changed archive is known by: size and time."""
    return facts.st_size, facts.st_mtime_ns


def _samples(path: str) -> Iterator[_Sample]:
    """Yield the samples of an archive that hold an image, in the order of their first members."""
    found: dict[str, dict[str, Member]] = {}
    for member in members(path):
        folder, slash, base = member.name.removeprefix("./").rpartition("/")
        stem, dot, ending = base.partition(".")
        if not stem or not dot:
            continue  # hidden files, as in a folder, and what no ending tells
        own = found.setdefault(f"{folder}{slash}{stem}", {})
        if ending.lower() in own:
            raise InputError(f"{path}: {member.name!r} is there twice; every sample needs a key of its own.")
        own[ending.lower()] = member
    with open(path, "rb") as file:
        for key, own in found.items():
            images = [ending for ending in own if f".{ending}" in SUFFIXES]
            if len(images) > 1:
                raise InputError(f"{path}: sample {key!r} has several images ({', '.join(images)}); keep one.")
            if images:
                yield _Sample(key, own[images[0]], _label(path, file.fileno(), own))


def _label(path: str, file: int, own: dict[str, Member]) -> str:
    member = own.get(_CLS, own.get(_JSON))
    if member is None:
        return ""
    where = f"{path}: label {member.name!r}"
    if member.size > MAX_LABEL:
        raise InputError(f"{where} has {member.size} bytes, at most {MAX_LABEL} are read; write the class alone.")
    raw = os.pread(file, member.size, member.offset)
    try:
        text = raw.decode()
        if _CLS in own:
            return text.strip()
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} cannot be read ({error}); write a number, a name, or JSON.") from error
    label = entry.get("label") if isinstance(entry, dict) else None
    return "" if label is None else str(label).strip()
