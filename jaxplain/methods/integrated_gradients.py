"""Integrated gradients along the straight path from a baseline."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.baselines import like_example
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.gradient import scale_maps
from jaxplain.core.nested import nested_trapezoid
from jaxplain.core.nodes import Nodes, check_nodes, nodes_by_change
from jaxplain.core.paths import completeness_gap
from jaxplain.core.quadrature import Rule, nodes_and_weights
from jaxplain.core.sampling import total, wide
from jaxplain.graph.prefix import Cut, Implementation
from jaxplain.graph.straight_path import StraightPath

PathRule = Literal[Rule, "non_uniform"]


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "dummy", "sensitivity", "symmetry"),
    plain_gradient=True,
)
def integrated_gradients(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Float[Array, "*in"],
    nodes: Nodes | None = None,
    n_steps: Count = 32,
    rule: PathRule = "gauss_legendre",
    n_probes: Count = 8,
    chunk: int | None = None,
    implementation: Implementation | None = None,
) -> Float[Array, "*out"]:
    """Average the gradient along the straight path, times the displacement.

    ``map = (x - b) * sum_i w_i df/dx(b + t_i (x - b))``, an approximation of the integral over t from 0 to 1, which
    sums to f(x) - f(b). It takes ``n_steps`` gradients, and ``n_probes + 1`` forward passes more under "non_uniform".

    Args:
        f: Score of one example.
        x: The example.
        baseline: Start of the path, of the example's shape.
        nodes: Nodes and weights to use instead of a rule, such as those that ``jaxplain calibrate`` finds for a model;
            ``n_steps`` and ``rule`` then mean nothing. They are data: other nodes compile nothing.
        n_steps: Number of gradients, at least 1 (2 for the trapezoid).
        rule: Quadrature: "gauss_legendre", "midpoint", "trapezoid", "left" or "right"; or "non_uniform", the midpoint
            rule on steps that are shorter where the score changes more. Several scores share these steps.
        n_probes: Even intervals over which "non_uniform" looks at the change of the score.
        chunk: Steps evaluated together; changes memory and speed only.
        implementation: "shared" evaluates what is affine in the example at both ends only, interpolates between, and
            pulls back through it once; "plain" does so at every step. None chooses the faster by shape.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: Too few steps for the rule; nodes that are none.

    References:
        Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks, arXiv:1703.01365. Bhat and
        Raychowdhury 2023, Non-uniform interpolation in integrated gradients, arXiv:2302.11107. Swain and Singhi 2024,
        Riemann sum optimization for accurate integrated gradients computation, arXiv:2410.04118.

    Example:
        >>> import jax.numpy as jnp
        >>> cubes = lambda x: jnp.sum(x**3)
        >>> integrated_gradients(cubes, jnp.array([1.0, 2.0]), baseline=jnp.zeros(2), n_steps=4).round(4)
        Array([1., 8.], dtype=float32)
    """
    path = StraightPath.of(f, x, baseline, implementation)
    if nodes is not None:
        nodes = check_nodes("integrated_gradients", nodes)
    elif rule == "non_uniform":
        nodes = nodes_by_change(path.scores(n_probes, chunk), n_steps)
    else:
        nodes = Nodes(*nodes_and_weights(rule, n_steps))
    return path.integral(nodes, chunk)


@with_diagnostics(integrated_gradients)
def integrated_gradients_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Array,
    nodes: Nodes | None,
    n_steps: int,
    rule: PathRule,
    n_probes: int,
    chunk: int | None,
    implementation: Implementation | None,
) -> Diagnosed:
    """Return the map and its completeness gap.

    ``gap = sum(map) - (f(x) - f(b))``. A small gap does not by itself mean a small error of the map.

    Args:
        f: Score of one example.
        x: The example.
        baseline, nodes, n_steps, rule, n_probes, chunk, implementation: As in ``integrated_gradients``, with its
            defaults.

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
        f,
        x,
        baseline=baseline,
        nodes=nodes,
        n_steps=n_steps,
        rule=rule,
        n_probes=n_probes,
        chunk=chunk,
        implementation=implementation,
    )
    start = like_example(baseline, x)
    return attribution, {"gap": completeness_gap(attribution, f(x) - f(start))}


@in_rounds(integrated_gradients, count="n_steps", nested=True, fixed={"rule": "trapezoid"})
def integrated_gradients_in_rounds(
    f: ScoreFn, x: Float[Array, "*in"], *, baseline: Array, n_steps: int, implementation: Implementation | None
) -> Estimate:
    """Return the estimate by a trapezoid rule whose intervals are halved, which can go on."""
    path = StraightPath.of(f, x, baseline, implementation)
    node = nested_trapezoid(n_steps, wide(x).dtype)

    def sample(i: Array) -> Cut:
        position, weight = node(i)
        return tuple(weight.astype(g.dtype) * g for g in path.parts.gradient(path.at(position)))

    def finish(summed: Cut, n: Array | int) -> Diagnosed:
        mean_gradient = path.parts.pull(x, tuple(g / jnp.asarray(n - 1, g.dtype) for g in summed))
        attribution = scale_maps(mean_gradient, x - path.baseline).astype(x.dtype)
        return attribution, {"gap": completeness_gap(attribution, f(x) - f(path.baseline))}

    return Estimate(sample, total, finish)
