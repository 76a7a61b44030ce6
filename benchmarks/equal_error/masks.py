"""RISE, with random and with low-discrepancy masks, Sobol' and HSIC: evaluations to a relative error of the map.

RISE's maps are held to a RISE of 65,536 random masks. Sobol' indices and HSIC estimate other quantities than RISE, so
nothing makes their maps go to RISE's, and each is held to its own long run. How near that
quantity is to RISE's is told by the rank correlation over pixels, and by the relative distance after the affine map
that fits best, since units and origin differ: both between the two long runs. Error is the relative L2 distance, root
mean square over keys. RISE's maps have a large mean (that of the score), which makes the relative error small: the
centered error leaves each map's mean out.

The references have an error of their own, which stands beside them: of a map's distance to one that is as far from the
truth as they are, nothing can be said. All methods have the same grid of cells and explain the label's probability.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from benchmarks.equal_error.in_rounds import taken
from benchmarks.equal_error.reaching import crossing, distance, ratio, root_mean_square, summary, timed
from benchmarks.equal_error.subjects import Subject
from benchmarks.record import rounded
from jaxplain._typing import ScoreFn
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Prob
from jaxplain.engine.lift import in_fast_forms
from jaxplain.methods import hsic_with_diagnostics

CELLS = (7, 7)
PAIR = math.prod(CELLS) + 2
"""Evaluations of one pair of Sobol' masks."""
RISE = {"cells": CELLS, "n_probe": 0, "normalization": "expected"}
SOBOL = {"cells": CELLS, "index": "total", "estimator": "jansen", "draws": "low_discrepancy"}
TOLERANCES = (0.1, 0.2, 0.3)
METHODS = ("rise", "rise, low_discrepancy", "sobol", "hsic")
BATCH = 64
"""Evaluations that are made together, about."""


class Run(NamedTuple):
    """What a number of evaluations gives.

    Attributes:
        evaluations: Of each image with each key.
        maps: ``(images, keys, pixels)``.
        stderr: ``(images, keys)``, the error that the method states.
        seconds: Of one evaluation.
    """

    evaluations: int
    maps: np.ndarray
    stderr: np.ndarray
    seconds: float


def centered(maps: np.ndarray) -> np.ndarray:
    """Return maps less their means."""
    return maps - maps.mean(axis=-1, keepdims=True)


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"relative": lambda maps: maps, "centered": centered}


def measure(
    subject: Subject,
    *,
    n_keys: int = 4,
    least: int = 64,
    most: int = 4096,
    n_reference: int = 65_536,
    n_others: int = 65_536,
) -> dict[str, Any]:
    """Return the figures of one network.

    Args:
        subject: The network and the images that are explained.
        n_keys: Independent runs of every method.
        least, most: Evaluations of the shortest and of the longest run, which lie a power of two apart.
        n_reference: Masks of the RISE that stands for the truth.
        n_others: About how many evaluations the references of Sobol' and HSIC take.
    """
    counts = [least * 2**k for k in range(round(math.log2(most / least)) + 1)]
    keys, other = jax.random.split(jax.random.key(1), n_keys), jax.random.split(jax.random.key(2), 1)
    found: dict[str, Any] = {}
    references: dict[str, Run] = {}
    reached: dict[tuple[str, str], dict[float, np.ndarray]] = {}
    for name in METHODS:
        own = name.partition(",")[0]
        if own not in references:
            (references[own],) = _runs(subject, own, other, [n_reference if own == "rise" else n_others])
        reference, runs = references[own], _runs(subject, name, keys, counts)
        evaluations, seconds = [run.evaluations for run in runs], runs[-1].seconds
        found[name] = {
            "reference": {
                "evaluations": reference.evaluations,
                "stderr": rounded(np.median(reference.stderr)),
                "seconds per image": rounded(reference.seconds * reference.evaluations),
            },
            "seconds per evaluation": rounded(seconds),
            "to the reference of rise": _likeness(reference.maps[:, 0], references["rise"].maps[:, 0]),
        }
        for kind, of in KINDS.items():
            errors = np.stack([root_mean_square(distance(of(run.maps), of(reference.maps))) for run in runs])
            reached[name, kind] = {tolerance: crossing(evaluations, errors, tolerance) for tolerance in TOLERANCES}
            base = reached["rise", kind]
            found[name][kind] = {
                "errors": {str(n): rounded(np.median(error)) for n, error in zip(evaluations, errors, strict=True)},
                "tolerances": {
                    str(tolerance): {
                        "evaluations": summary(own_counts),
                        "seconds": summary(own_counts * seconds),
                        "rise over it, evaluations": ratio(base[tolerance], own_counts, evaluations[-1]),
                    }
                    for tolerance, own_counts in reached[name, kind].items()
                },
            }
    return {"images": len(subject.images), "keys": n_keys, "cells": list(CELLS), "methods": found}


def _runs(subject: Subject, name: str, keys: jax.Array, counts: list[int]) -> list[Run]:
    """Return what a method gives for about these numbers of evaluations."""
    n_runs = len(keys) * len(subject.images)
    if name == "hsic":
        return [_hsic(subject, keys, n) for n in counts]
    at_once = max(1, BATCH // n_runs)
    words: dict[str, Any] = {"baseline": subject.baseline}
    if name == "sobol":
        samples, size = sorted({max(2, n // PAIR) for n in counts}), PAIR
        at_once, words = max(1, at_once // 8), words | SOBOL
    else:
        samples, size = counts, 1
        words |= RISE | {"keep": jnp.float32(0.5), "draws": name.partition(", ")[2] or "independent"}
    images = (subject.images, subject.labels)
    made = taken(name.partition(",")[0], _score, subject.model, images, keys, samples, chunk=at_once, **words)
    return [
        Run(n * size, one.maps, one.stderr, one.seconds / ((n - before) * size * n_runs))
        for before, n, one in zip([0, *samples], samples, made, strict=False)
    ]


def _score(model: Model, image: Any) -> tuple[ScoreFn, jax.Array]:
    return in_fast_forms(Score(model, Prob(image[1]))), image[0]


def _hsic(subject: Subject, keys: jax.Array, n: int) -> Run:
    """All scores are needed at once, so that every count is a run of its own."""
    at_once = max(1, BATCH // (len(keys) * len(subject.images)))

    def one(model: Model, image: Any, key: jax.Array) -> Any:
        f, x = _score(model, image)
        knobs = {"n_samples": n, "cells": CELLS, "chunk": at_once}
        return hsic_with_diagnostics(f, x, key=key, baseline=subject.baseline, **knobs)

    images = (subject.images, subject.labels)
    of_all = jax.jit(jax.vmap(jax.vmap(one, (None, None, 0)), (None, 0, None)))
    program = of_all.trace(subject.model, images, keys).lower().compile()
    (maps, figures), seconds = timed(program, subject.model, images, keys)
    flat = np.asarray(maps, np.float64).reshape(*maps.shape[:2], -1)
    return Run(n, flat, np.asarray(figures["stderr"], np.float64), seconds / (n * flat.shape[0] * flat.shape[1]))


def _likeness(maps: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the medians over images of rank correlation, and of the distance after the best affine map."""
    ranks, left = [], []
    for own, other in zip(centered(maps), centered(truth), strict=True):
        ranks.append(spearmanr(own, other).statistic)
        left.append(np.linalg.norm(other - own * (own @ other) / (own @ own)) / np.linalg.norm(other))
    return {"rank correlation": rounded(np.median(ranks)), "after affine matching": rounded(np.median(left))}
