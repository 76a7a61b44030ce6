"""IDGI: every change of the score along the path, divided by the squares of the gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, PyTree, ScoreFn
from jaxplain.core.baselines import like_example
from jaxplain.core.gradient import per_target, pull_back
from jaxplain.core.ops import add_up
from jaxplain.core.paths import between, completeness_gap
from jaxplain.core.sampling import magnitude, reduce_over, wide


@method(axioms=("completeness", "implementation_invariance", "dummy", "symmetry"), plain_gradient=True)
def idgi(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Float[Array, "*in"],
    n_steps: Count = 32,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Divide the change of the score in every step of the straight path by the squared gradient at its start.

    ``map = sum_j (f(x_{j+1}) - f(x_j)) g_j^2 / sum_p g_{j,p}^2`` with ``x_j = b + j/n (x - b)`` and
    ``g_j = df/dx(x_j)``, j from 0 to n - 1. It sums to f(x) - f(b), to rounding, with any number of steps. It takes
    one forward pass beside the gradients.

    Where the gradient of a step vanishes altogether, nothing says how to divide its change, and the reference
    implementation divides zero by zero. Here such a step gives nothing; what it withholds is the completeness gap.
    A pixel that equals the baseline may get a value, since the displacement takes no part.

    Args:
        f: Score of one example.
        x: The example.
        baseline: Start of the path, of the example's shape.
        n_steps: Number of steps and of gradients, at least 1.
        chunk: Steps evaluated together; changes memory and speed only.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    References:
        Yang, Wang and Bilgic 2023, IDGI: A framework to eliminate explanation noise from integrated gradients,
        arXiv:2303.14242.

    Example:
        >>> idgi(lambda x: 2 * x[0] + x[1], jnp.array([1.0, 3.0]), baseline=jnp.zeros(2), n_steps=4).round(4)
        Array([4., 1.], dtype=float32)
    """
    start = like_example(baseline, x)

    def node(i: Array) -> tuple[Array, Array]:
        score, pull = jax.vjp(f, between(start, x, i.astype(wide(x).dtype) / n_steps))
        (gradient,) = pull_back(pull, score)
        return score, jax.vmap(_shares)(gradient) if score.ndim else _shares(gradient)

    last, shares, summed = reduce_over(node, n_steps, _changes, chunk=chunk)
    change = wide(f(x)) - last
    return (summed + per_target(change, change.ndim, x.ndim) * shares).astype(x.dtype)


def _shares(gradient: Array) -> Array:
    """Return the share of every entry in the sum of squares; zeros where all are zero."""
    squares = jnp.square(wide(gradient / magnitude(gradient)))
    whole = jnp.sum(squares)
    return squares / jnp.where(whole == 0, 1, whole)


class _Changes:
    """Sums the shares of every node times the change of the score from there to the next node.

    The state is the score and the shares of the last node, whose step is not closed yet, and the sum.
    """

    def init(self, like: PyTree) -> PyTree:
        score, shares = like
        return score, shares, shares

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        (last, share, summed), (scores, shares) = state, values
        before = jnp.concatenate([last[None], scores[:-1]])
        owners = jnp.concatenate([share[None], shares[:-1]])
        # What pads a chunk repeats its last node, so that node is the last entry in any case.
        closed = jnp.where(valid.reshape(valid.shape + (1,) * last.ndim), scores - before, 0)
        weights = closed.reshape(closed.shape + (1,) * (owners.ndim - closed.ndim))
        return scores[-1], shares[-1], summed + add_up(weights * owners)

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        return state


_changes = _Changes()


@with_diagnostics(idgi)
def idgi_with_diagnostics(
    f: ScoreFn, x: Float[Array, "*in"], *, baseline: Array, n_steps: int, chunk: int | None
) -> Diagnosed:
    """Return the map and its completeness gap.

    ``gap = sum(map) - (f(x) - f(b))``: rounding, and the changes of steps whose gradient vanishes. It says nothing of
    how far the map is from that of infinitely many steps.

    Args:
        f: Score of one example.
        x: The example.
        baseline, n_steps, chunk: As in ``idgi``, with its defaults.

    Returns:
        The map, and ``{"gap": (*t)}`` in units of the score, signed.

    Example:
        >>> bump, one = lambda x: jax.nn.relu(x[0] - 0.5), jnp.ones(1)
        >>> _, figures = idgi_with_diagnostics(bump, one, baseline=0 * one, n_steps=1)
        >>> float(figures["gap"])
        -0.5
    """
    attribution = idgi(f, x, baseline=baseline, n_steps=n_steps, chunk=chunk)
    start = like_example(baseline, x)
    return attribution, {"gap": completeness_gap(attribution, f(x) - f(start))}
