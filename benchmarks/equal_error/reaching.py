"""When an error is reached, and how many times sooner than by another method."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from benchmarks.record import rounded
from benchmarks.timing import with_interval


def timed(run: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return what a function makes, and its seconds."""
    began = time.perf_counter()
    made = jax.block_until_ready(run(*arguments))
    return made, time.perf_counter() - began


def first(met: np.ndarray, *, held: bool) -> np.ndarray:
    """Return the first rung ``(images,)`` at which a bound is met, and the number of rungs where there is none.

    Args:
        met: ``(rungs, images)`` booleans.
        held: Whether it must be met at the next rung too: an error that crosses zero does not count then, and the last
            rung proves nothing.
    """
    if held:
        met = met & np.concatenate([met[1:], np.zeros_like(met[:1])])
    return np.where(met.any(axis=0), met.argmax(axis=0), len(met))


def crossing(counts: Sequence[float], errors: np.ndarray, tolerance: float) -> np.ndarray:
    """Return from which counts on ``(images,)`` errors ``(rungs, images)`` stay below a tolerance; inf if they do not.

    Between two rungs the error is a power of the count. Below the first rung nothing is known, and it is returned.
    """
    sizes, found = np.log(np.asarray(counts, float)), np.full(errors.shape[1], np.inf)
    logs = np.log(np.maximum(errors, 1e-12) / tolerance)
    for image, log in enumerate(logs.T):
        above = np.flatnonzero(log > 0)
        last = above[-1] if len(above) else -1
        if last < 0:
            found[image] = counts[0]
        elif last + 1 < len(log):
            part = log[last] / (log[last] - log[last + 1])
            found[image] = np.exp(sizes[last] + part * (sizes[last + 1] - sizes[last]))
    return found


def summary(counts: np.ndarray) -> dict[str, Any]:
    """Return the median over images, None where half of them do not reach it, and the share that do."""
    median = float(np.median(counts)) if len(counts) else np.inf
    return {"median": rounded(median) if np.isfinite(median) else None, "reached": rounded(np.isfinite(counts).mean())}


def ratio(of: np.ndarray, over: np.ndarray, most: float) -> dict[str, Any] | None:
    """Return how many times as many ``of`` takes as ``over``, per image, with the interval of the median.

    Where ``of`` alone does not reach the error, it counts as ``most``, the largest that was tried: a lower bound. Where
    ``over`` alone does not, the ratio is 0. Images that neither reaches are left out; None where that is all of them.
    """
    known = np.isfinite(of) | np.isfinite(over)
    if not known.any():
        return None
    values = np.minimum(of, most)[known] / over[known]
    return with_interval(values.tolist()) | {"images": int(known.sum()), "bounds": int(np.isinf(of[known]).sum())}


def distance(maps: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the relative L2 distance of maps ``(..., entries)`` to those in their place."""
    return np.linalg.norm(maps - truth, axis=-1) / np.linalg.norm(truth, axis=-1)


def root_mean_square(errors: np.ndarray) -> np.ndarray:
    """Return the error ``(rungs, images)`` over keys, the last axis."""
    return np.sqrt(np.mean(np.square(errors), axis=-1))
