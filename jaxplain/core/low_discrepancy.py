"""Points in the unit cube, numbered from zero: independent ones, or low-discrepancy ones that fill it evenly.

Low-discrepancy points are Sobol' points, scrambled by the key. Every 16 dimensions are the same Sobol' sequence, each
block with an order of its own (Latin supercube sampling), and every dimension is scrambled by itself (Owen's nested
scrambling, by a hash). So one point alone is uniform in the cube, as an independent one is, and estimates stay without
bias; of the first 2^k points of a replicate, each interval [j, j + 1) / 2^k of each dimension has exactly one.

There are as many independent replicates of the whole as ``replicates.REPLICATES`` says, and sample i belongs to the
replicate ``i % REPLICATES``: from their differences follows the error of a mean. Point i depends on the key and on i
alone.

References: Owen 1998, Latin supercube sampling, doi:10.1145/272991.273010. Burley 2020, Practical hash-based Owen
scrambling, Journal of Computer Graphics Techniques 9(4).
"""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._errors import unknown
from jaxplain._typing import Array
from jaxplain.core.replicates import REPLICATES
from jaxplain.core.sampling import sample_key

Draws = Literal["independent", "low_discrepancy"]

BITS = 32
# Degree, coefficients and initial numbers of the primitive polynomials behind the first dimensions: Joe and Kuo 2008,
# Constructing Sobol sequences with better two-dimensional projections, doi:10.1137/070709359.
_POLYNOMIALS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
    (5, 14, (1, 3, 5, 5, 31)),
    (6, 1, (1, 3, 3, 9, 7, 49)),
    (6, 13, (1, 1, 1, 15, 21, 21)),
    (6, 16, (1, 3, 1, 13, 27, 49)),
)


def unit_points(key: Array, dimensions: int, draws: Draws) -> Callable[[Array], Array]:
    """Return the function ``i -> point i``, ``(dimensions,)`` float32 in [0, 1).

    Args:
        key: Typed key of the image.
        dimensions: How many coordinates a point has.
        draws: "independent", or "low_discrepancy".

    Raises:
        InputError: The draws are unknown.

    Example:
        >>> points = jax.vmap(unit_points(jax.random.key(0), 3, "low_discrepancy"))(8 * jnp.arange(4))
        >>> jnp.sort(jnp.floor(4 * points), axis=0).astype(int).T
        Array([[0, 1, 2, 3],
               [0, 1, 2, 3],
               [0, 1, 2, 3]], dtype=int32)
    """
    match draws:
        case "independent":
            return lambda sample: jax.random.uniform(sample_key(key, sample), (dimensions,), jnp.float32)
        case "low_discrepancy":
            return lambda sample: _scrambled_point(key, sample, dimensions)
    raise unknown("unit_points", "draws", draws, get_args(Draws))


def sobol_words(indices: Array) -> Array:
    """Return Sobol' points as 32-bit fractions, in the order of binary counting.

    Args:
        indices: ``(n,)`` uint32.

    Returns:
        ``(n, 16)`` uint32; divided by 2^32, the points.

    Example:
        >>> (sobol_words(jnp.arange(4, dtype=jnp.uint32))[:, :2] >> 30).T.tolist()
        [[0, 2, 1, 3], [0, 2, 3, 1]]
    """
    bits = (indices[:, None] >> lax.iota(jnp.uint32, BITS)[None]) & 1
    chosen = jnp.where(bits[:, None] == 1, _DIRECTIONS[None], np.uint32(0))
    return lax.reduce(chosen, np.uint32(0), lax.bitwise_xor, (2,))


def _scrambled_point(key: Array, sample: Array, dimensions: int) -> Array:
    blocks = -(-dimensions // len(_DIRECTIONS))
    own = sample_key(key, sample % REPLICATES)
    orders, seeds = jnp.split(jax.random.bits(own, (blocks + dimensions,), jnp.uint32), [blocks])
    number = jnp.broadcast_to((sample // REPLICATES).astype(jnp.uint32), (blocks,))
    words = sobol_words(_nested_scramble(number, orders)).reshape(-1)[:dimensions]
    # 24 bits are what float32 holds below one.
    return (_nested_scramble(words, seeds) >> 8).astype(jnp.float32) * 2.0**-24


def _nested_scramble(words: Array, seeds: Array) -> Array:
    """Flip every bit depending on the seed and the bits above it: Owen's scrambling, by Laine and Karras's hash.

    The seed is added first and the rest is a bijection, so that a word with a uniform seed becomes uniform, exactly.
    """
    words = _reversed_bits(words) + seeds
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        words = words ^ (words * np.uint32(factor))
    return _reversed_bits(words)


def _reversed_bits(words: Array) -> Array:
    for width, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        words = ((words >> width) & np.uint32(mask)) | ((words & np.uint32(mask)) << width)
    return words


def _directions() -> np.ndarray:
    """Return the direction numbers ``(16, 32)``: first the van der Corput sequence, then one row per polynomial."""
    rows = [[1 << (BITS - 1 - k) for k in range(BITS)]]
    for degree, coefficients, initial in _POLYNOMIALS:
        row = [number << (BITS - 1 - k) for k, number in enumerate(initial)]
        for k in range(degree, BITS):
            word = row[k - degree] ^ (row[k - degree] >> degree)
            for step in range(1, degree):
                if (coefficients >> (degree - 1 - step)) & 1:
                    word ^= row[k - step]
            row.append(word)
        rows.append(row)
    return np.array(rows, np.uint32)


_DIRECTIONS = _directions()
