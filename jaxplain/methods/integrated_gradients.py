"""Integrated gradients along the straight path from a baseline."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.gradient import scale_maps
from jaxplain.core.quadrature import Rule, nodes_and_weights
from jaxplain.core.sampling import reduce_over, total, wide
from jaxplain.graph.prefix import Cut, Implementation, prefix_for_sums


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "dummy", "sensitivity", "symmetry"),
    plain_gradient=True,
)
def integrated_gradients(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Float[Array, "*in"],
    n_steps: Count = 32,
    rule: Rule = "gauss_legendre",
    chunk: int | None = None,
    implementation: Implementation | None = None,
) -> Float[Array, "*out"]:
    """Average the gradient along the straight path, times the displacement.

    ``map = (x - b) * sum_i w_i df/dx(b + t_i (x - b))``, an approximation of the integral over t from 0 to 1, which
    sums to f(x) - f(b).

    Args:
        f: Score of one example.
        x: The example.
        baseline: Start of the path, of the example's shape.
        n_steps: Number of gradients, at least 1 (2 for the trapezoid).
        rule: Quadrature: "gauss_legendre", "midpoint", "trapezoid", "left" or "right".
        chunk: Steps evaluated together; changes memory and speed only.
        implementation: "shared" evaluates what is affine in the example at both ends only, interpolates between, and
            pulls back through it once; "plain" does so at every step. None chooses the faster by shape.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: Too few steps for the rule.

    References:
        Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, arXiv:1703.01365.

    Example:
        >>> import jax.numpy as jnp
        >>> cubes = lambda x: jnp.sum(x**3)
        >>> integrated_gradients(cubes, jnp.array([1.0, 2.0]), baseline=jnp.zeros(2), n_steps=4).round(4)
        Array([1., 8.], dtype=float32)
    """
    parts = prefix_for_sums(f, x, implementation)
    baseline = jnp.broadcast_to(jnp.asarray(baseline, x.dtype), x.shape)
    start, end = parts.prefix(baseline), parts.prefix(x)
    nodes, weights = (jnp.asarray(values, wide(x).dtype) for values in nodes_and_weights(rule, n_steps))

    def step(i: Array) -> Cut:
        point = tuple(_between(first, last, nodes[i]) for first, last in zip(start, end, strict=True))
        return tuple(weights[i].astype(g.dtype) * g for g in parts.gradient(point))

    mean_gradient = parts.pull(x, reduce_over(step, n_steps, total, chunk=chunk))
    return scale_maps(mean_gradient, x - baseline).astype(x.dtype)


def _between(start: Array, end: Array, t: Array) -> Array:
    low, high = wide(start), wide(end)
    return (low + t.astype(low.dtype) * (high - low)).astype(start.dtype)


@with_diagnostics(integrated_gradients)
def integrated_gradients_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Array,
    n_steps: int,
    rule: Rule,
    chunk: int | None,
    implementation: Implementation | None,
) -> Diagnosed:
    """Return the map and its completeness gap.

    ``gap = sum(map) - (f(x) - f(b))``. A small gap does not by itself mean a small error of the map.

    Args:
        f: Score of one example.
        x: The example.
        baseline, n_steps, rule, chunk, implementation: As in ``integrated_gradients``, with its defaults.

    Returns:
        The map, and ``{"gap": (*t)}`` in units of the score, signed.

    Example:
        >>> import jax.numpy as jnp
        >>> cube, one = lambda x: x[0] ** 3, jnp.ones(1)
        >>> _, figures = integrated_gradients_with_diagnostics(cube, one, baseline=0 * one, n_steps=1)
        >>> float(figures["gap"])
        -0.25
    """
    attribution = integrated_gradients(
        f, x, baseline=baseline, n_steps=n_steps, rule=rule, chunk=chunk, implementation=implementation
    )
    score = f(x)
    change = score - f(baseline)
    summed = jnp.sum(attribution, axis=tuple(range(score.ndim, attribution.ndim)))
    return attribution, {"gap": summed - change}
