"""Which images a sweep uses: the first n of one pseudo-random order of the image ids.

The order depends on the ids and the seed alone, so that a larger selection contains a smaller one, and the same images
are chosen on every machine and for every method.
"""

from math import prod

import numpy as np

from jaxplain._errors import InputError
from jaxplain.aggregate.moments import empty, merge, moments_of
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.events import Advanced, Started, Watcher
from jaxplain.io.sources.base import Source

BLOCK_VALUES = 1 << 22
"""Pixels read at once; blocks depend on the image's shape alone, and so does the mean image."""


def population(
    source: Source, status: np.ndarray | None, n: int | None, *, seed: int, watch: Watcher
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the images of a sweep, and average them.

    Args:
        source: Images with labels; those with the label -1 are left out.
        status: ``(N,)`` of codes; other images than those with 0 are left out. None when nothing is known.
        n: How many; None for all.
        seed: Of the selection.
        watch: Called with events.

    Returns:
        Rising rows, all of which can be read, and their mean image in float64.

    Raises:
        InputError: No labels, or no usable image.
    """
    if source.labels is None:
        raise InputError("peppr: the source has no labels; name a label file, or use one folder per class.")
    labels = np.asarray(source.labels)
    usable = np.ones(len(source), bool) if status is None else np.asarray(status) == 0
    rows = select_rows(source.ids, usable & (labels >= 0) if labels.ndim == 1 else usable, n, seed=seed)
    size = max(1, BLOCK_VALUES // prod(source.shape))
    total, sound = empty(source.shape), []
    watch(Started("mean image", len(rows)))
    for part, batch in read_ahead(source.read, [rows[i : i + size] for i in range(0, len(rows), size)]):
        good = batch.status == 0
        sound.append(part[good])
        total = merge(total, moments_of(batch.image[good]))
        watch(Advanced("mean image", len(part)))
    if not total.count:
        raise InputError("peppr: none of the chosen images can be read.")
    return np.concatenate(sound), total.mean


def select_rows(ids: np.ndarray, usable: np.ndarray, n: int | None, *, seed: int) -> np.ndarray:
    """Choose rows.

    Args:
        ids: ``(N,)`` uint64, the stable numbers of the images.
        usable: ``(N,)`` booleans; other images are never chosen.
        n: How many; None for all, and all when there are fewer.
        seed: Of the order.

    Returns:
        Rising row numbers.

    Raises:
        InputError: If n is below 1 or no image is usable.
    """
    if n is not None and n < 1:
        raise InputError(f"peppr: images = {n} must be at least 1.")
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise InputError("peppr: no image is usable; all are quarantined or without a label.")
    if n is None or n >= len(rows):
        return rows
    place = scramble(np.asarray(ids, np.uint64)[rows], seed)
    return np.sort(rows[np.argsort(place, kind="stable")[:n]])


def scramble(ids: np.ndarray, seed: int) -> np.ndarray:
    """Map 64-bit ids one to one to pseudo-random 64-bit numbers: the finalizer of SplitMix64.

    Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.
    """
    z = ids + np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
