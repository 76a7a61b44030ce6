"""The index of images in tar files of the WebDataset form: where every image lies, its label, its id.

Members of one sample share the part of their name before the first dot of the base name, their key: ``0001.jpg``,
``0001.cls``, ``0001.json``. The image is the member with one ending, that of an image (``0001.seg.png`` is none). The
label is the text of ``.cls``, else the entry ``label`` of ``.json``. The id is that of ``<archive>/<key>``, so it
depends neither on the other samples nor on where the archives lie.
"""

import hashlib
import json
import os
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
    samples: list[tuple[int, _Sample]] = []
    sizes, times = [], []
    for number, name in enumerate(names):
        path = os.path.join(root, name)
        before = os.stat(path)
        samples += [(number, sample) for sample in _samples(path)]
        if shard_facts(os.stat(path)) != shard_facts(before):
            raise InputError(f"{path}: changed while it was indexed; index it again when it is whole.")
        sizes.append(before.st_size)
        times.append(before.st_mtime_ns)
    if not samples:
        raise InputError(f"{where}: no images; expected members ending in {', '.join(SUFFIXES)}.")
    shard = np.array([number for number, _ in samples], np.int64)
    ids = np.array([image_id(f"{names[number]}/{sample.key}") for number, sample in samples], np.uint64)
    if len(np.unique(ids)) < len(ids):
        raise InputError(f"{where}: two samples have the same 64-bit id; rename one of them.")
    words = [sample.label for _, sample in samples]
    labels = word_labels(where, words, np.arange(len(words))) if any(words) else None
    return Index(
        ids,
        np.array([sample.image.size for _, sample in samples], np.int64),
        np.array(times, np.int64)[shard],
        np.full(len(samples), -1, np.int64) if labels is None else labels.values,
        Names.of([f"{names[number]}/{sample.image.name}" for number, sample in samples]),
        None if labels is None else labels.names,
        Members(
            shard,
            np.array([sample.image.offset for _, sample in samples], np.int64),
            Names.of(names),
            np.array(sizes, np.int64),
        ),
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
