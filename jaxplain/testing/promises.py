"""What every registered method is held to, whatever it computes.

Shape and dtype; equal under jit and vmap; scalar and vector scores agree; nothing depends on chunks; one program for
all floats; maps can be differentiated with respect to the parameters; what is sampled in rounds is what is sampled at
once. A registered method gets these checks without writing one.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._registry import Entry
from jaxplain.core.estimate import Round, next_round, totals
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.segments import grid_segments
from jaxplain.core.targets import Logit, Logits
from jaxplain.testing.networks import LAYER, attention_network, images, relu_network, smooth_network
from jaxplain.testing.tolerance import tol

SAMPLES = 7


def example_keywords(entry: Entry, x: Any) -> dict[str, Any]:
    """Return context and small knobs with which a method runs on the networks of ``jaxplain.testing``."""
    values: dict[str, Any] = {
        "key": jax.random.key(3),
        "baseline": jnp.zeros_like(x),
        "layer": LAYER,
        "low": jnp.full_like(x, -3),
        "high": jnp.full_like(x, 3),
        "composite": "epsilon",
        "background": jnp.stack([0.0 * x, 0.5 * x[::-1], 1.0 - x]),
        "segments": _grid(x.shape),
        "segmentations": np.stack([0 * _grid(x.shape), _grid(x.shape)]),
    }
    keywords = {name: values[name] for name in entry.context if name not in entry.optional}
    small = {
        **{"n_samples": SAMPLES, "n_steps": SAMPLES, "block": SAMPLES},
        **{"window": (3, 3), "stride": (2, 2), "cells": (3, 3)},
    }
    return keywords | {name: value for name, value in small.items() if name in entry.knobs}


def _grid(shape: tuple[int, ...]) -> np.ndarray:
    """Cut the first two axes of space into two and three parts: six segments."""
    axes = shape[:-1] or shape
    return grid_segments(axes, tuple(min(n, size) for n, size in zip((2, 3, *(1 for _ in axes)), axes, strict=False)))


def network_for(entry: Entry) -> Model:
    """Return the network on which a method is held to its promises: smooth, with ReLU or attention if its notes say so.

    Of the ReLU networks seed 8 is one with Grad-CAMs that are positive almost everywhere: not all maps are zero.
    """
    if entry.notes.get("needs_attention"):
        return attention_network()
    return relu_network(8) if entry.notes.get("needs_relu") else smooth_network()


def check_promises(entry: Entry, model: Model | None = None) -> None:
    """Hold a method to all promises, on a small network.

    Args:
        entry: The method's entry in the registry.
        model: Another network of the same input shape; ``network_for(entry)`` by default.

    Raises:
        AssertionError: A promise is broken.

    Example:
        >>> from jaxplain._registry import find_method
        >>> check_promises(find_method("gradient"))
    """
    model = model or network_for(entry)
    for check in PROMISES:
        check(entry, model)


def keeps_shape_and_dtype(entry: Entry, model: Model) -> None:
    """Scalar scores give ``(*in)`` (or a map without channels), vectors add their axis; the dtype is the example's."""
    x = jnp.asarray(images(1)[0])
    targets = Logit(jnp.int32(1)), Logits(jnp.array([1, 0, 4]))
    one, three = (np.asarray(_compiled(entry, model, target, x, _arrays(entry, x))) for target in targets)
    require(one.dtype == three.dtype == x.dtype, entry, f"dtypes {one.dtype} and {three.dtype} are not {x.dtype}")
    require(three.shape == (3, *one.shape), entry, f"three scores give {three.shape}, one gives {one.shape}")
    fits = one.shape == x.shape or len(one.shape) == x.ndim - 1
    require(fits, entry, f"a map of shape {one.shape} belongs to no example of shape {x.shape}")
    np.testing.assert_allclose(three[0], one, **tol(x.dtype, terms=SAMPLES, scale=_size(one), safety=64))


def agrees_under_jit_and_vmap(entry: Entry, model: Model) -> None:
    """Compiled equals eager, and a mapped batch equals a loop."""
    batch, target = jnp.asarray(images(3)), Logit(jnp.int32(1))

    def explain(x: jax.Array) -> jax.Array:
        return _compiled(entry, model, target, x, _arrays(entry, x))

    loop = np.stack([entry.function(Score(model, target), x, **example_keywords(entry, x)) for x in batch])
    compiled = np.stack([explain(x) for x in batch])
    mapped = jax.vmap(explain)(batch)
    for other in (compiled, mapped):
        np.testing.assert_allclose(other, loop, **tol(np.float32, terms=SAMPLES, scale=_size(loop), safety=64))


def ignores_chunks(entry: Entry, model: Model) -> None:
    """Chunks of 1, 3 and all samples give the same map to rounding."""
    if "chunk" not in entry.knobs:
        return
    x = jnp.asarray(images(1)[0])
    target, arrays = Logit(jnp.int32(2)), _arrays(entry, x)
    want, *others = (np.asarray(_compiled(entry, model, target, x, arrays, chunk=chunk)) for chunk in (1, 3, 100))
    for got in others:
        np.testing.assert_allclose(got, want, **tol(x.dtype, terms=SAMPLES, scale=_size(want), safety=64))


def compiles_once(entry: Entry, model: Model) -> None:
    """Other floats, labels and weights reuse the program."""
    traced = [name for name, knob in entry.knobs.items() if knob.kind == "traced"]
    x = jnp.asarray(images(1)[0])
    traces: list[None] = []

    @jax.jit
    def explain(score: Score, keywords: dict[str, Any]) -> jax.Array:
        traces.append(None)
        return entry.function(score, x, **_static(entry, x), **keywords)

    for number, value in enumerate((0.1, np.float32(0.3), 1)):
        knobs = {name: entry.knobs[name].check(entry.name, value) for name in traced}
        score = Score(jax.tree.map(lambda leaf: leaf * 1.5, model), Logit(jnp.int32(number)))
        explain(score, _arrays(entry, x) | knobs)
    require(len(traces) == 1, entry, f"it was traced {len(traces)} times")


def differentiates(entry: Entry, model: Model) -> None:
    """The sum of squares of a map has a finite gradient with respect to the parameters."""
    x = jnp.asarray(images(1)[0])

    def penalty(params: Any) -> jax.Array:
        f = Score(Model(params, model.apply), Logit(1))
        return jnp.sum(jnp.square(entry.function(f, x, **example_keywords(entry, x))))

    gradient = jax.grad(penalty)(model.params)
    leaves = jax.tree.leaves(gradient)
    require(all(np.isfinite(leaf).all() for leaf in leaves), entry, "a map's gradient is not finite")
    require(any(np.abs(leaf).max() > 0 for leaf in leaves), entry, "a map's gradient is zero")


def goes_on_in_rounds(entry: Entry, model: Model) -> None:
    """Rounds end with the map and the figures of all their samples at once, in chunks of another size."""
    rounds = entry.rounds
    if rounds is None:
        return
    require(entry.with_diagnostics is not None, entry, "it goes on but has no form with diagnostics")
    x, f = jnp.asarray(images(1)[0]), Score(model, Logits(jnp.array([1, 0, 4])))
    given = {**example_keywords(entry, x), **rounds.fixed}
    words = {name: knob.check(entry.name, knob.default) for name, knob in entry.knobs.items()} | given
    size = rounds.size(words)
    first = SAMPLES // size
    counts = totals(entry.name, first, 4 * first, nested=True) if rounds.nested else (first, first + 2, 3 * first)

    @jax.jit
    def go_on(f: Score, x: jax.Array, state: Any, first: jax.Array, stop: jax.Array) -> Round:
        estimate = rounds.form(f, x, **{name: words.get(name) for name in rounds.keywords})
        return next_round(estimate, state, first, stop, chunk=3)

    found = go_on(f, x, None, jnp.int32(0), jnp.int32(counts[0]))
    for first, stop in pairwise(counts):
        found = go_on(f, x, found.state, jnp.int32(first), jnp.int32(stop))
    given[rounds.count] = counts[-1] * size
    want, figures = jax.jit(lambda f, x: entry.with_diagnostics(f, x, **given))(f, x)  # type: ignore[misc]
    scale = _size(want)
    np.testing.assert_allclose(found.map, want, **tol(x.dtype, terms=counts[-1], scale=scale, safety=64))
    for name, value in figures.items():
        unit = scale * x.size if name == "gap" else 1.0  # a gap is what is left of a sum over the map
        bound = tol(x.dtype, terms=counts[-1], scale=unit, safety=256)
        np.testing.assert_allclose(found.figures[name], value, **bound, err_msg=name)


def require(holds: bool, entry: Entry, otherwise: str) -> None:
    """Raise ``AssertionError`` unless something holds."""
    if not holds:
        raise AssertionError(f"{entry.name}: {otherwise}.")


PROMISES: tuple[Callable[[Entry, Model], None], ...] = (
    keeps_shape_and_dtype,
    agrees_under_jit_and_vmap,
    ignores_chunks,
    compiles_once,
    differentiates,
    goes_on_in_rounds,
)


@partial(jax.jit, static_argnums=0, static_argnames="chunk")
def _compiled(
    entry: Entry, model: Model, target: Any, x: jax.Array, arrays: dict[str, jax.Array], **execution: int
) -> jax.Array:
    """Explain by one program for all promises that ask for the same map."""
    return entry.function(Score(model, target), x, **{**_static(entry, x), **arrays, **execution})


def _static(entry: Entry, x: Any) -> dict[str, Any]:
    return {name: word for name, word in example_keywords(entry, x).items() if not isinstance(word, jax.Array)}


def _arrays(entry: Entry, x: Any) -> dict[str, jax.Array]:
    return {name: word for name, word in example_keywords(entry, x).items() if isinstance(word, jax.Array)}


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max())
