"""The axioms that a method may declare, as checks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import unknown
from jaxplain._registry import Entry
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.testing.networks import images, smooth_network
from jaxplain.testing.promises import example_keywords, require
from jaxplain.testing.tolerance import tol


def check_axiom(axiom: str, entry: Entry) -> None:
    """Hold a method to one axiom.

    Args:
        axiom: A name from ``jaxplain._registry.AXIOMS``.
        entry: The method's entry in the registry.

    Raises:
        AssertionError: The axiom is violated.
        InputError: There is no check of that name.

    Example:
        >>> from jaxplain._registry import find_method
        >>> check_axiom("completeness", find_method("integrated_gradients"))
    """
    if axiom not in CHECKS:
        raise unknown("check_axiom", "axiom", axiom, CHECKS)
    CHECKS[axiom](entry)


def completeness(entry: Entry) -> None:
    """The map sums to f(x) - f(baseline), or f(x) less the mean of f over the background.

    Up to the error of the quadrature at 32 nodes. Values of segments are divided over their pixels.
    """
    f, x = Score(smooth_network(), Logit(1)), jnp.asarray(images(1)[0])
    exact = {"n_steps": 32, "divided": True}
    keywords = example_keywords(entry, x) | {name: value for name, value in exact.items() if name in entry.knobs}
    starts = keywords["background"] if "background" in keywords else keywords["baseline"][None]
    total, change = float(jnp.sum(_run(entry, f, x, keywords))), float(f(x) - jnp.mean(jax.vmap(f)(starts)))
    np.testing.assert_allclose(total, change, **tol(np.float32, terms=x.size, scale=1.0, safety=64))


def implementation_invariance(entry: Entry) -> None:
    """Two ways to write one function have one map."""
    model, x = smooth_network(), jnp.asarray(images(1)[0])
    f = Score(model, Logit(1))

    def doubled(x: jax.Array) -> jax.Array:
        return 0.5 * f(x) + 0.25 * f(x + 0.0) + 0.25 * f(2 * x / 2)

    if "layer" in entry.context:
        return
    _close(_run(entry, doubled, x), _run(entry, f, x))


def linearity(entry: Entry) -> None:
    """The map of a f + b g is a times the map of f plus b times the map of g."""
    x = jnp.asarray(images(1)[0])
    f, g = Score(smooth_network(0), Logit(1)), Score(smooth_network(1), Logit(2))
    _close(
        _run(entry, lambda x: 2 * f(x) - 3 * g(x), x),
        2 * _run(entry, f, x) - 3 * _run(entry, g, x),
    )


def dummy(entry: Entry) -> None:
    """A pixel that the function does not read gets zero, to the rounding of the score.

    Windows and segments are of one pixel.
    """
    x = jnp.asarray(images(1)[0])
    f = Score(smooth_network(), Logit(1))
    keywords = example_keywords(entry, x)
    if "window" in entry.knobs:
        keywords |= {"window": (1, 1), "stride": (1, 1)}
    keywords |= _alone(entry, x, (2, 3))
    maps = _run(entry, lambda x: f(x.at[2, 3].set(0.5)), x, keywords)
    np.testing.assert_allclose(maps[2, 3], 0, **tol(np.float32, scale=float(jnp.abs(f(x)))))


def sensitivity(entry: Entry) -> None:
    """Where one pixel alone changes the score between baseline and example, that pixel's value is not zero."""
    x = jnp.zeros((4, 4, 1)).at[1, 2, 0].set(1.5)
    maps = _run(entry, lambda x: jnp.sum(jnp.tanh(x)) + jnp.sum(x), x)
    require(abs(float(maps[1, 2, 0])) > 0.1, entry, "the only pixel that differs gets nothing")


def symmetry(entry: Entry) -> None:
    """Two pixels that the function treats alike, with equal values, get equal values."""
    x = jnp.asarray(images(1)[0]).at[0, 0].set(0.4).at[5, 5].set(0.4)
    keywords = example_keywords(entry, x) | _alone(entry, x, (0, 0), (5, 5))
    maps = _run(entry, lambda x: jnp.sum(jnp.tanh(x[0, 0] * x[5, 5])) + jnp.sum(x[3:5] ** 3), x, keywords)
    _close(maps[0, 0], maps[5, 5])


CHECKS: dict[str, Callable[[Entry], None]] = {
    check.__name__: check
    for check in (completeness, implementation_invariance, linearity, dummy, sensitivity, symmetry)
}


def _run(entry: Entry, f: Any, x: jax.Array, keywords: dict[str, Any] | None = None) -> jax.Array:
    return jax.jit(lambda x: entry.function(f, x, **(keywords or example_keywords(entry, x))))(x)


def _alone(entry: Entry, x: jax.Array, *pixels: tuple[int, int]) -> dict[str, Any]:
    """Return segments of one pixel each beside one of all others, for a method that takes segments."""
    labels = np.full(x.shape[:-1], len(pixels))
    for number, pixel in enumerate(pixels):
        labels[pixel] = number
    return {"segments": labels} if "segments" in entry.context else {}


def _close(got: jax.Array, want: jax.Array) -> None:
    size = float(jnp.max(jnp.abs(want)))
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=64, scale=size, safety=32))
