"""Where a path is sampled and how the samples are weighted: nodes that suit a score or a model, rather than any.

A rule of ``jaxplain.core.quadrature`` knows nothing of what it integrates. ``nodes_by_change`` puts more nodes where a
few forward passes see the score change; ``calibrate`` finds the nodes and weights that suit a model from the gradients
of a few images, for all others to use. All weights sum to one, so constants are integrated exactly.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree
from jaxplain._typing import Array, ScoreFn
from jaxplain.core.baselines import like_example
from jaxplain.core.gradient import input_gradient, scale_maps
from jaxplain.core.sampling import DEFAULT_CHUNK, wide

EVEN_SHARE = 0.1
"""Share of the nodes that is spread evenly whatever the score does: where it stands still, gradients of several pixels
may cancel each other. No step is longer than 1 / (EVEN_SHARE n)."""
RIDGE = 1e-4
"""What images that took no part add to the products of deviations, as a share of their mean square. It keeps weights
even where nothing speaks for uneven ones."""
SWEEPS = 20
"""Most rounds of exchanges; a handful suffices, and every exchange lowers the error."""
_SUM_TOLERANCE = 1e-4


@pytree
class Nodes:
    """Nodes on a path and their weights.

    Args:
        positions: Where the path is sampled, ``(n,)``, from 0, the baseline, to 1, the example.
        weights: ``(n,)``, of sum 1.
    """

    positions: Array | np.ndarray
    weights: Array | np.ndarray

    def __call__(self, x: Array, key: Array | None) -> "Nodes":
        """Return the nodes: all images share them."""
        return self


def check_nodes(where: str, value: object) -> Nodes:
    """Refuse what are no nodes; values are looked at where they are known while tracing.

    Raises:
        InputError: Unequal lengths, positions outside the path, weights that do not sum to one.
        InputTypeError: Not of the class ``Nodes``.
    """
    if not isinstance(value, Nodes):
        raise InputTypeError(
            f"{where}: nodes must be jaxplain.core.nodes.Nodes(positions, weights), got {type(value).__name__}."
        )
    shapes = np.shape(value.positions), np.shape(value.weights)
    if shapes[0] != shapes[1] or len(shapes[0]) != 1 or not shapes[0][0]:
        raise InputError(
            f"{where}: nodes have positions of shape {shapes[0]} and weights of shape {shapes[1]}; give one weight for "
            "each position, (n,) both, n at least 1."
        )
    if isinstance(value.positions, jax.core.Tracer) or isinstance(value.weights, jax.core.Tracer):
        return value
    positions, weights = np.asarray(value.positions, np.float64), np.asarray(value.weights, np.float64)
    if not ((positions >= 0) & (positions <= 1)).all():
        raise InputError(f"{where}: nodes lie at {positions.min()} ... {positions.max()}; give positions from 0 to 1.")
    if not abs(weights.sum() - 1) <= _SUM_TOLERANCE:
        raise InputError(f"{where}: the weights of the nodes sum to {weights.sum():g}; divide them by their sum.")
    return value


def equidistributed(density: Array, n: int) -> Nodes:
    """Cut the path into n cells of equal share of a density, and put a node in the middle of each, as heavy as long.

    This is the composite midpoint rule on uneven cells: exact for linear integrands, whatever the density.

    Args:
        density: ``(intervals,)``, of any scale: constant on each of as many equal intervals, nowhere 0.
        n: Number of nodes.

    Example:
        >>> [round(float(w), 3) for w in equidistributed(jnp.array([1.0, 3.0]), 4).weights]
        [0.5, 0.167, 0.167, 0.167]
    """
    reached = jnp.concatenate([jnp.zeros(1, density.dtype), jnp.cumsum(density)])
    ends = jnp.linspace(0, 1, len(density) + 1, dtype=density.dtype)
    edges = jnp.interp(jnp.linspace(0, 1, n + 1, dtype=density.dtype), reached / reached[-1], ends)
    return Nodes((edges[1:] + edges[:-1]) / 2, jnp.diff(edges))


def nodes_by_change(scores: Array, n: int) -> Nodes:
    """Return n nodes, more where the score changes: shares go with the root of the change over each interval.

    The root, since the error of a midpoint rule falls with the square of its steps. On a small trained network and its
    probabilities, with 4 to 32 nodes, it left a half to two thirds of the error that shares by the change itself left,
    and at most a quarter of that of even steps; for logits, which change evenly, there was nothing to gain.

    Several scores share the nodes: each one's changes are taken relative to their sum, and added. In derivatives the
    nodes count as constants.

    Args:
        scores: Scores ``(intervals + 1, *t)`` at even points of the path, its ends included.
        n: Number of nodes.

    References:
        Bhat and Raychowdhury 2023, Non-uniform interpolation in integrated gradients for low-latency explainable-AI,
        arXiv:2302.11107. There each interval gets a whole number of steps; here steps may cross the intervals' ends,
        so that n need not exceed their number.

    Example:
        >>> [round(float(t), 2) for t in nodes_by_change(jnp.array([0.0, 0.0, 1.0]), 4).positions]
        [0.3, 0.67, 0.8, 0.93]
    """
    changes = wide(jnp.abs(jnp.diff(lax.stop_gradient(scores), axis=0))).reshape(len(scores) - 1, -1)
    whole = jnp.sum(changes, axis=0, keepdims=True)
    roots = jnp.sqrt(jnp.mean(jnp.where(whole > 0, changes / jnp.where(whole > 0, whole, 1), 1 / len(changes)), axis=1))
    return equidistributed((1 - EVEN_SHARE) * roots / jnp.sum(roots) + EVEN_SHARE / len(changes), n)


def path_deviations(f: ScoreFn, x: Array, *, baseline: Array, n_points: int = 128, chunk: int | None = None) -> Array:
    """Return how the gradient deviates from its mean along the straight path, as products between its points.

    ``D_jk = (g_j - m) . (g_k - m) / (m . m)`` with ``g_j`` the gradient at ``t_j = (j + 1/2) / n_points`` times
    ``x - b`` and ``m`` their mean, the integrated gradients. A rule with weights w of sum 1 at the points J is off
    by ``|sum_j w_j g_j - m|^2 / |m|^2 = w D_JJ w``: the squared relative error of the map. Average the products over
    images and hand them to ``calibrate``. Those of several scores are averaged; a score whose map is zero has none.

    Args:
        f: Score of one example.
        x: The example.
        baseline: Start of the path, of the example's shape.
        n_points: Number of gradients; all of them are held at once.
        chunk: Gradients evaluated together.

    Returns:
        ``(n_points, n_points)``, symmetric, without negative eigenvalues.

    Example:
        >>> path_deviations(lambda x: x[0] ** 2, jnp.ones(1), baseline=jnp.zeros(1), n_points=2)
        Array([[ 0.25, -0.25],
               [-0.25,  0.25]], dtype=float32)
    """
    pull, dtype = input_gradient(f), wide(x).dtype
    baseline = like_example(baseline, x)
    low, high = wide(baseline), wide(x)

    def scaled(t: Array) -> Array:
        return scale_maps(wide(pull((low + t * (high - low)).astype(x.dtype))), high - low)

    points = (jnp.arange(n_points, dtype=dtype) + 0.5) / n_points
    maps = lax.map(scaled, points, batch_size=min(n_points, chunk or DEFAULT_CHUNK))
    maps = maps.reshape(n_points, -1, x.size)
    mean = jnp.mean(maps, axis=0, keepdims=True)
    deviations, size = maps - mean, jnp.sum(jnp.square(mean), axis=(0, 2))
    products = jnp.einsum("jtp,ktp->tjk", deviations, deviations, precision=lax.Precision.HIGHEST)
    size = size[:, None, None]
    return jnp.mean(jnp.where(size > 0, products / jnp.where(size > 0, size, 1), 0), axis=0)


def calibrate(deviations: np.ndarray, n: int) -> Nodes:
    """Return the n nodes and weights with the smallest error on the images that were measured.

    For given points J the best weights of sum 1 are ``D_JJ^-1 1 / (1 D_JJ^-1 1)``, and the squared error left is
    ``1 / (1 D_JJ^-1 1)``. From the midpoint rule on, and from nodes added one by one, each is exchanged for the point
    that lowers it most, until none does; the better of both is taken. A small multiple of the identity in D stands for
    images that were not measured.

    The idea to measure a model's gradients once and to choose the nodes of all paths by them is RiemannOpt's, which
    minimizes a bound of the error of a left Riemann sum; here the error itself is known, and weights are free.

    Args:
        deviations: Mean of ``path_deviations`` over a few images.
        n: Number of nodes, at most half the number of points.

    Raises:
        InputError: More nodes than that, or products that are not finite.

    References:
        Swain and Singhi 2024, Riemann sum optimization for accurate integrated gradients computation,
        arXiv:2410.04118.

    Example:
        >>> square = path_deviations(lambda x: x[0] ** 2, jnp.ones(1), baseline=jnp.zeros(1), n_points=8)
        >>> calibrate(square, 2).weights.round(3)
        array([0.5, 0.5])
    """
    products = np.array(deviations, np.float64)
    n_points = len(products)
    if not 1 <= n <= n_points // 2:
        raise InputError(f"calibrate: {n} nodes of {n_points} points; ask for 1 to {n_points // 2}, or more points.")
    if not np.isfinite(products).all():
        raise InputError("calibrate: the products of the gradients are not finite; look for NaN in the network.")
    scale = np.trace(products) / n_points
    products[np.diag_indices(n_points)] += RIDGE * (scale if scale > 0 else 1.0)
    even, grown = [int((i + 0.5) * n_points / n) for i in range(n)], list[int]()
    for _ in range(n):
        grown.append(int(np.argmax(_gains(products, grown))))
    found = [_exchanged(products, start) for start in (even, grown)]
    chosen = max(found, key=lambda one: _weights(products, one).sum())
    weights = _weights(products, chosen)
    return Nodes((np.array(chosen) + 0.5) / n_points, weights / weights.sum())


def _gains(products: np.ndarray, others: list[int]) -> np.ndarray:
    """Return by how much each point would raise ``1 D_JJ^-1 1`` if it joined the others (Schur's complement)."""
    inverse = np.linalg.inv(products[np.ix_(others, others)])
    across = products[others]
    solved = inverse @ across
    left = np.diagonal(products) - np.sum(across * solved, axis=0)
    gains = np.square(1 - solved.sum(axis=0)) / np.maximum(left, np.finfo(np.float64).tiny)
    gains[others] = -1  # taken
    return np.asarray(gains)


def _exchanged(products: np.ndarray, start: list[int]) -> list[int]:
    """Exchange nodes one by one for the point that raises ``1 D_JJ^-1 1`` most, until none does; sorted."""
    chosen = list(start)
    for _ in range(SWEEPS):
        before = list(chosen)
        for i in range(len(chosen)):
            gains = _gains(products, chosen[:i] + chosen[i + 1 :])
            best = int(np.argmax(gains))
            if gains[best] > gains[chosen[i]] * (1 + 1e-9):
                chosen[i] = best
        if chosen == before:
            break
    return sorted(chosen)


def _weights(products: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Return the best weights, not divided by their sum, which is the error's inverse."""
    return np.linalg.solve(products[np.ix_(chosen, chosen)], np.ones(len(chosen)))
