"""Ranks of scores, exact to the tie.

Everything that erases or restores by importance starts from an order of 50,176 pixels. It must be the same order in
every form: the highest score is first, equal scores keep their places, -0 equals 0, NaN is last.
"""

from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op, Winner
from jaxplain_kernels.rank.xla import by_argsort, by_packed_words

Array = jax.Array


class Spec(NamedTuple):
    """What is static."""

    rows: int
    size: int
    dtype: jnp.dtype


def rank(scores: Array, *, implementation: str = "auto") -> Array:
    """Rank scores along the last axis, from the highest, 0, to the lowest; ties keep their order, NaN is last.

    Args:
        scores: ``(..., n)``, floating or integer.
        implementation: "auto", or a form: "argsort", "packed" (keys and positions in one word).

    Returns:
        int32 of the same shape: in each row a permutation of ``0 ... n - 1``.

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.

    Example:
        >>> import jax.numpy as jnp
        >>> rank(jnp.array([0.1, 0.9, jnp.nan, 0.9]))
        Array([2, 0, 3, 1], dtype=int32)
    """
    spec = Spec(prod(scores.shape[:-1]), scores.shape[-1], scores.dtype)
    found: Array = OP.run(spec, scores, implementation=implementation)
    return found


def _word(spec: Spec) -> int:
    """Return the bits of the smallest word that holds a key and a position, or 0."""
    needed = 8 * spec.dtype.itemsize + max(spec.size - 1, 1).bit_length()
    return next((word for word in (32, 64) if needed <= word), 0)


def _no_word(spec: Spec, platform: str) -> str:
    reasons = ["" if _word(spec) else f"a key of {spec.dtype} and a position below {spec.size} exceed 64 bits"]
    if platform == "tpu" and _word(spec) > 32:
        reasons.append("a TPU has no words of 64 bits")
    return "; ".join(filter(None, reasons))


def _packed(spec: Spec, scores: Array) -> Array:
    return by_packed_words(scores, _word(spec))


def _typical() -> dict[str, Spec]:
    from jaxplain_kernels.rank.cases import LARGE

    return {name: Spec(prod(shape[:-1]), shape[-1], jnp.dtype(dtype)) for name, (shape, dtype) in LARGE.items()}


OP = Op(
    "rank",
    (Form("argsort", lambda spec, scores: by_argsort(scores)), Form("packed", _packed, _no_word)),
    (Winner("packed", "4 to 6 times as fast as argsort (results/cpu/kernels.json, rank)", ("cpu",)),),
    _typical,
)
