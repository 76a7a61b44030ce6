"""``x + spread * noise(key)`` and a cast, with the very noise of ``jax.random.normal``.

JAX's generator, Threefry, runs on CPUs as a loop over five groups of rounds, each of which reads and writes all
counters: 10 ns per number. Here all twenty rounds of a number stay in registers. XLA must not fuse them with the
inverse error function that follows, or it computes them once per use (14 times as slow): a loop of two trips, each half
of the numbers, keeps them apart. The bits are the same, and so is what is made of them.

On a GPU, JAX's generator is one kernel already and XLA fuses what follows: nothing is left to gain there.
"""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op, Winner
from jaxplain_kernels.noise_fold.xla import normal

Array = jax.Array


class Spec(NamedTuple):
    """What decides how the noise is made."""

    shape: tuple[int, ...]
    dtype: jnp.dtype
    generator: str


def noise_fold(
    x: Array, key: Array, spread: Array, *, dtype: jnp.dtype | None = None, implementation: str = "auto"
) -> Array:
    """Add normal noise.

    ``x + spread * jax.random.normal(key, x.shape, x.dtype)``, in every form.

    Args:
        x: The example.
        key: Typed key of this copy.
        spread: Standard deviation, in the dtype of x.
        dtype: Of the result; x's by default.
        implementation: "auto", or a form: "xla" (JAX's generator), "unrolled".

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> noise_fold(jnp.ones(2), jax.random.key(0), jnp.zeros(()))
        Array([1., 1.], dtype=float32)
    """
    noise = OP.run(Spec(x.shape, x.dtype, _generator(key)), key, implementation=implementation)
    return (x + spread * noise).astype(dtype or x.dtype)


def _generator(key: Array) -> str:
    name = str(jax.random.key_impl(key))
    return name if jax.threefry_partitionable.value else f"{name}, not partitionable"


def _refusal(spec: Spec, platform: str) -> str:
    reasons = []
    if spec.dtype != jnp.float32:
        reasons.append(f"{spec.dtype} noise is made of other bits")
    if spec.generator != "threefry2x32":
        reasons.append(f"the generator is {spec.generator}")
    if prod(spec.shape) >= 2**31:
        reasons.append(f"{prod(spec.shape)} numbers need counters of two words")
    return "; ".join(reasons)


def _typical() -> Mapping[str, Spec]:
    from jaxplain_kernels.noise_fold.cases import LARGE

    return {name: Spec(shape, jnp.dtype("float32"), "threefry2x32") for name, (_, shape) in LARGE.items()}


OP = Op(
    "noise_fold",
    (
        Form("xla", lambda spec, key: jax.random.normal(key, spec.shape, spec.dtype)),
        Form("unrolled", lambda spec, key: normal(key, spec.shape), _refusal),
    ),
    (Winner("unrolled", "1.3 to 4 times as fast (results/cpu/kernels.json, noise_fold)", ("cpu",)),),
    _typical,
)
