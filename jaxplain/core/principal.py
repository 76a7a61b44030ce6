"""The first principal component of a layer's values, with a sign and a derivative that are defined."""

import jax
import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.core.maps import divide
from jaxplain.core.sampling import magnitude


def principal_map(values: Array, *, center: bool) -> Array:
    """Project values onto their leading right singular vector over positions.

    The sign is that of the sum over channels of the vector, so that the map agrees with the sum of the channels; where
    that sum is zero, the largest entry is positive. Zeros give zeros. If two singular values are equal, neither vector
    is distinguished, and the one that the decomposition returns is taken.

    Args:
        values: ``(*space, channels)``.
        center: Whether to subtract the mean of each channel first.

    Returns:
        ``(*space)``.

    Example:
        >>> import jax.numpy as jnp
        >>> principal_map(jnp.array([[3.0, 0.0], [0.0, 1.0]]), center=False)
        Array([3., 0.], dtype=float32)
    """
    rows = values.reshape(-1, values.shape[-1])
    rows = rows - jnp.mean(rows, axis=0, keepdims=True) if center else rows
    unit = magnitude(rows)  # the squares of small gradients would underflow
    rows = rows / unit
    if rows.shape[1] <= rows.shape[0]:
        loading = _leading(_product(rows.T, rows))
    else:  # the smaller of the two products, with the same leading value
        loading = _product(rows.T, _leading(_product(rows, rows.T)))
        square = jnp.sum(loading * loading)
        loading = loading / jnp.sqrt(jnp.where(square == 0, 1, square))
    total, largest = jnp.sum(loading), loading[jnp.argmax(jnp.abs(loading))]
    sign = jnp.sign(jnp.where(total == 0, largest, total))
    return (_product(rows, loading) * (sign * unit)).reshape(values.shape[:-1])


def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


@jax.custom_jvp
def _leading(symmetric: Array) -> Array:
    """Return the eigenvector of the largest eigenvalue."""
    return jnp.linalg.eigh(symmetric)[1][:, -1]


@_leading.defjvp
def _leading_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # eigh's own derivative divides by the gaps between all eigenvalues, and a layer with more channels than positions
    # has many that are zero. The leading vector needs the gaps to its own value only.
    values, vectors = jnp.linalg.eigh(primals[0])
    leading, others = vectors[:, -1], vectors[:, :-1]
    change = _product(others.T, _product(tangents[0], leading))
    return leading, _product(others, divide(change, values[-1] - values[:-1]))
