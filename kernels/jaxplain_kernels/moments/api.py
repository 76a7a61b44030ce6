"""Streaming moments: the samples of a chunk lie along the first axis and are reduced into a running state.

XLA:CPU reduces over a leading axis, or one behind the images of a batch, at 1.5 GB/s; the sum of eight cotangents of a
ResNet's stem took half as long as one gradient of ResNet-18. Adding one half of the chunk to the other until one sample
is left is elementwise, so XLA makes one vectorized pass of it at the speed of memory. It also rounds less: the error
of a sum of n grows with log n. What follows the sums, a mean and the squared deviations from it, joins the same pass.

A kernel by hand can gain nothing more on a GPU: every value is read once and one result is written.
"""

from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op, Winner
from jaxplain_kernels.moments.cases import LARGE
from jaxplain_kernels.moments.xla import fold, reduce_axis

Array = jax.Array
LARGEST_CHUNK = 64
"""Samples up to which halving was seen to win; of 200 small maps the moments took 1.6 times as long."""


class Spec(NamedTuple):
    """What is reduced."""

    how: Literal["add", "max"]
    shape: tuple[int, ...]


def typical() -> Mapping[str, Spec]:
    """Return the calls for which the choice is shown."""
    return {name: Spec("add", shape) for name, shape in LARGE.items()}


OP = Op(
    "moments",
    forms=(
        Form("xla", lambda spec, values: reduce_axis(spec.how, values)),
        Form("halves", lambda spec, values: fold(spec.how, values)),
    ),
    winners=(
        Winner(
            "halves",
            "sums 19 to 28 times as fast, of small maps 1.0 (results/cpu/kernels.json, moments)",
            platforms=("cpu",),
            where=lambda spec: spec.shape[0] <= LARGEST_CHUNK,
        ),
    ),
    typical=typical,
)


def add_up(values: Array, *, implementation: str = "auto") -> Array:
    """Sum over the first axis.

    Args:
        values: One sample or more along the first axis.
        implementation: "auto", or a form: "xla" (its own reduction), "halves".

    Example:
        >>> import jax.numpy as jnp
        >>> add_up(jnp.arange(6.0).reshape(3, 2))
        Array([6., 9.], dtype=float32)
    """
    return OP.run(Spec("add", values.shape), values, implementation=implementation)


def highest(values: Array, *, implementation: str = "auto") -> Array:
    """Take the maximum over the first axis; a NaN wins.

    Args:
        values: One sample or more along the first axis.
        implementation: "auto", or a form: "xla" (its own reduction), "halves".

    Example:
        >>> import jax.numpy as jnp
        >>> highest(jnp.arange(6.0).reshape(3, 2))
        Array([4., 5.], dtype=float32)
    """
    return OP.run(Spec("max", values.shape), values, implementation=implementation)


def merge(
    state: tuple[Array, Array, Array], values: Array, valid: Array, *, implementation: str = "auto"
) -> tuple[Array, Array, Array]:
    """Merge a chunk into the running count, mean and sum of squared deviations.

    With the chunk's own count k, mean c and deviations q, ``delta = c - mean`` and ``w = k / (n + k)``:
    ``n + k``, ``mean + delta w``, ``m2 + q + delta^2 n w``.

    Args:
        state: Count, mean and sum of squared deviations before; zeros at the start.
        values: Samples along the first axis, in the dtype of the mean.
        valid: Which samples count, boolean, at least one; the others may hold anything.
        implementation: "auto", or a form: "xla" (its own reduction), "halves".

    Returns:
        The three afterwards.

    References:
        Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance, doi:10.2307/2683386.

    Example:
        >>> import jax.numpy as jnp
        >>> zero = jnp.zeros(())
        >>> merge((zero, zero, zero), jnp.array([1.0, 3.0]), jnp.array([True, True]))[1:]
        (Array(2., dtype=float32), Array(2., dtype=float32))
    """
    count, mean, m2 = state
    total = partial(add_up, implementation=implementation)
    keep = jnp.expand_dims(valid, tuple(range(1, values.ndim)))
    size = jnp.sum(valid).astype(count.dtype)
    merged = count + size
    weight = size.astype(mean.dtype) / merged.astype(mean.dtype)
    own = total(jnp.where(keep, values, 0)) / size.astype(mean.dtype)
    deviations = total(jnp.where(keep, jnp.square(values - own[None]), 0))
    delta = own - mean
    between = jnp.square(delta) * (count.astype(mean.dtype) * weight)
    return merged, mean + delta * weight, m2 + deviations + between
