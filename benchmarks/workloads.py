"""Named workloads: a method with its keywords on a network, and how many bare passes that means.

A workload runs in the engine's own compiled program. Beside it stand the bare passes that it is measured in: the scores
of a batch, and their gradients with and without the engine's speed rules. ``small`` gives the form that tests run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import gcd, isqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxplain
from jaxplain._registry import METHODS, find_method
from jaxplain.core.model import Model, remembered
from jaxplain.core.score import Score
from jaxplain.core.segments import grid_segments
from jaxplain.core.targets import Logit
from jaxplain.engine.lift import Arguments, Program, explain_batch, id_words, prepare, select_images
from jaxplain.engine.plan import choose_tile
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.models import random_network, small_cnn


class Passes(NamedTuple):
    """Bare passes over a batch: gradients (a forward and a backward pass each), and forward passes beside them."""

    gradients: int = 0
    forwards: int = 0


@dataclass(frozen=True)
class Case:
    """A method as it is measured, with n samples (steps, windows, backgrounds).

    Attributes:
        method: Name in the registry.
        passes: The passes that its formula takes; None where that is one per channel of a layer, too many to repeat.
        keywords: Its knobs and named choices, of n and the size of the images.
    """

    method: str
    passes: Callable[[int], Passes] | None = lambda n: Passes(1)
    keywords: Callable[[int, int], dict[str, Any]] = lambda n, size: {}


def _sampled(method: str, word: str = "n_samples", passes: Callable[[int], Passes] = lambda n: Passes(n)) -> Case:
    return Case(method, passes, lambda n, size: {word: n})


def _forward(method: str) -> Case:
    return Case(method, lambda n: Passes(0, 1))


def _lrp(composite: str, passes: Passes) -> Case:
    return Case("lrp", lambda n: passes, lambda n, size: {"composite": composite})


def _windows(n: int, size: int) -> dict[str, Any]:
    width = -(-size // isqrt(n))
    return {"window": (width, width), "stride": (width, width)}


def _segments(n: int, size: int) -> dict[str, Any]:
    return {"segments": grid_segments((size, size), (isqrt(n), isqrt(n)))}


def _segmentations(size: int) -> dict[str, Any]:
    """Return three scales, as XRAI's own segmentations are several: 4, 16 and 64 cells."""
    return {"segmentations": np.stack([_segments(n, size)["segments"] for n in (4, 16, 64)])}


_FORMS = {
    "integrated_gradients": _sampled("integrated_gradients", "n_steps"),
    "expected_gradients": _sampled("expected_gradients"),
    "blur_ig": _sampled("blur_ig", "n_steps"),
    "guided_ig": _sampled("guided_ig", "n_steps", passes=lambda n: Passes(n + 1)),
    "idgi": _sampled("idgi", "n_steps", passes=lambda n: Passes(n, 1)),
    "smoothgrad": _sampled("smoothgrad"),
    "smoothgrad_squared": _sampled("smoothgrad_squared"),
    "vargrad": _sampled("vargrad"),
    "smoothdiff": _sampled("smoothdiff", passes=lambda n: Passes(1, n)),
    # At least, behind ReLUs: the values, and positive contributions forward and backward, which is three products where
    # a gradient has two; alpha-beta has the negative ones as well, and gamma pulls all back beside the favored ones.
    # Layers whose input may be negative, such as the first, take twice the products of each sign.
    "lrp, epsilon": _lrp("epsilon", Passes(1)),
    "lrp, epsilon_plus": _lrp("epsilon_plus", Passes(1, 1)),
    "lrp, epsilon_alpha2_beta1": _lrp("epsilon_alpha2_beta1", Passes(1, 3)),
    "lrp, epsilon_gamma_box": _lrp("epsilon_gamma_box", Passes(1, 2)),
    "excitation_backprop": Case("excitation_backprop", lambda n: Passes(1, 1)),
    "deeplift": Case("deeplift", lambda n: Passes(1, 1)),
    "deep_shap": Case("deep_shap", lambda n: Passes(n, 1)),
    # Behind the last layer there is little to pull back.
    **{name: _forward(name) for name in ("grad_cam", "grad_cam_pp", "xgrad_cam", "hires_cam", "layer_cam")},
    **{name: _forward(name) for name in ("eigen_cam", "eigen_grad_cam", "shapley_cam", "attention_rollout")},
    # Before a linear head the derivatives do not depend on the noise, and XLA sees that.
    "smooth_grad_cam_pp": _sampled("smooth_grad_cam_pp", passes=lambda n: Passes(0, 1)),
    "guided_grad_cam": Case("guided_grad_cam", lambda n: Passes(1, 1)),
    "score_cam": Case("score_cam", None),
    "ablation_cam": Case("ablation_cam", None),
    # Windows and cells are as many along both axes: the largest square up to n.
    "occlusion": Case("occlusion", lambda n: Passes(0, isqrt(n) ** 2 + 1), _windows),
    "feature_ablation": Case("feature_ablation", lambda n: Passes(0, isqrt(n) ** 2 + 1), _segments),
    # n masks, the full one among them, and the clean score, by which the fit is judged.
    "lime": Case("lime", lambda n: Passes(0, n + 1), lambda n, size: {"n_samples": n, **_segments(16, size)}),
    "rise": _sampled("rise", passes=lambda n: Passes(0, n)),
    "hsic": _sampled("hsic", passes=lambda n: Passes(0, n)),
    "hsic, block": Case("hsic", lambda n: Passes(0, n), lambda n, size: {"n_samples": n, "block": gcd(n, 10)}),
    # Of every pair of masks: both, and the four mixed ones; and the clean score.
    "sobol": Case("sobol", lambda n: Passes(0, 6 * n + 1), lambda n, size: {"n_samples": n, "cells": (2, 2)}),
    # Of 16 segments: none and all, each alone and all but each, and n pairs of a coalition and its complement; sizes
    # that are evaluated whole are taken from these pairs.
    "kernel_shap": Case(
        "kernel_shap", lambda n: Passes(0, 2 * n + 34), lambda n, size: {"n_samples": n, **_segments(16, size)}
    ),
    # Of 4 segments: the three coalitions between none and all, in an order and in its reverse; none and all once.
    "shapley_sampling": Case(
        "shapley_sampling", lambda n: Passes(0, 6 * n + 2), lambda n, size: {"n_samples": n, **_segments(4, size)}
    ),
    # Trees and enumerations have no samples: 12 coalitions of a balanced tree of 4 segments, all 16 coalitions of 4.
    "partition_shap": Case("partition_shap", lambda n: Passes(0, 12), lambda n, size: _segments(4, size)),
    "shapley_exact": Case("shapley_exact", lambda n: Passes(0, 16), lambda n, size: _segments(4, size)),
    # n steps from black and n from white.
    "xrai": Case("xrai", lambda n: Passes(2 * n), lambda n, size: {"n_steps": n, **_segmentations(size)}),
}
_NAMED = {case.method for case in _FORMS.values()}
CASES = _FORMS | {name: Case(name) for name in sorted(METHODS) if name not in _NAMED}
"""Every method of the registry, by the name of its rows; what is not listed above takes one gradient."""

USUAL = (
    "gradient",
    "integrated_gradients",
    "smoothgrad",
    "smoothdiff",
    "guided_backprop",
    "grad_cam",
    "lrp, epsilon",
    "lrp, epsilon_plus",
    "deeplift",
    "occlusion",
)
"""What is measured unless the command line says otherwise: one of each kind of method."""


def network(name: str, size: int) -> Model:
    """Return a reference network by name, or the small one, with random weights for images of this size."""
    return small_cnn((size, size, 3)) if name == "small_cnn" else random_network(name, input_shape=(size, size, 3))


@dataclass(frozen=True)
class Workload:
    """A case on a network: ``n_samples`` counts steps, windows or backgrounds where the method has such."""

    network: str
    case: str
    batch: int = 8
    size: int = 224
    n_samples: int = 16

    @property
    def passes(self) -> Passes | None:
        """The bare passes that it is measured in."""
        count = CASES[self.case].passes
        return None if count is None else count(self.n_samples)

    def small(self) -> "Workload":
        """Return the form that tests run."""
        return replace(self, network="small_cnn", batch=2, size=16, n_samples=4)

    def images(self) -> jax.Array:
        """Return the batch: normal noise, the same for all networks."""
        return jnp.asarray(np.random.default_rng(0).normal(size=(self.batch, self.size, self.size, 3)), jnp.float32)

    def score(self, model: Model) -> Score:
        """Return a logit for every image, a different one for each."""
        rows = np.arange(self.batch)
        return select_images(Score(model, Logit(rows)), (0,), rows)

    def call(self, model: Model, *, memory: str = "2GiB") -> tuple[tuple[Any, ...], Program]:
        """Return the arguments of ``explain_batch`` and its program, with the chunk that the engine would choose."""
        x, score = self.images(), self.score(remembered(model))  # as the engine has it
        case = CASES[self.case]
        given = context_of(case.method, model, x.shape[1:], self.n_samples) | case.keywords(self.n_samples, self.size)
        program, arguments = prepare(case.method, given, x_shape=x.shape[1:], diagnosed=False)
        arguments = Arguments(*jax.tree.map(jnp.asarray, tuple(arguments)))  # on the device, as in a run's second step
        one = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        tile = choose_tile(score, one, self.batch, memory, self.batch)
        key = jax.random.key(0) if "key" in find_method(case.method).context else None
        words = jnp.asarray(id_words(np.arange(self.batch)))
        return (score, x, words, key, arguments), program.with_chunk(tile.chunk)


method_program = explain_batch
"""The engine's program of a method: ``method_program(*arguments, program=program)`` with what ``call`` returns."""


@partial(jax.jit, static_argnames="fast")
def gradients(score: Score, x: jax.Array, *, fast: bool) -> jax.Array:
    """Return the bare gradients of a batch: a map of ``jax.grad``, with the engine's speed rules or without."""

    def one(target: Logit, x: jax.Array) -> jax.Array:
        f = Score(score.model, target)
        return jax.grad(with_fast_gradients(f) if fast else f)(x)

    return jax.vmap(one)(score.target, x)


@jax.jit
def forwards(score: Score, x: jax.Array) -> jax.Array:
    """Return the bare scores of a batch."""
    return jax.vmap(lambda target, x: Score(score.model, target)(x))(score.target, x)


def spatial_layer(model: Model, shape: tuple[int, ...]) -> str | None:
    """Return the last layer with channels at more than one position: what CAMs look at; None if there is none."""
    found = jaxplain.layers(model, jnp.zeros(shape))
    names = [layer.path for layer in found if layer.reachable and len(layer.shape) == 3 and layer.shape[0] > 1]
    return names[-1] if names else None


def context_of(method: str, model: Model, shape: tuple[int, ...], n: int) -> dict[str, Any]:
    """Return what the caller of a method must decide, but for the key and what the case names."""
    entry = find_method(method)
    given: dict[str, Callable[[], Any]] = {
        "baseline": lambda: np.zeros(shape, np.float32),
        "low": lambda: np.full(shape, -3, np.float32),
        "high": lambda: np.full(shape, 3, np.float32),
        "background": lambda: np.random.default_rng(1).normal(size=(n, *shape)).astype(np.float32),
        "layer": lambda: spatial_layer(model, shape),
    }
    wanted = [word for word in entry.context if word in given and (word != "layer" or word not in entry.optional)]
    return {word: given[word]() for word in wanted}
