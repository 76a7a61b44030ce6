"""From tokens to the example's space: which tokens are patches, how they are laid out, and whose row is read."""

import math
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array, Range
from jaxplain.graph.cam import Upsample, resized

Read = Literal["first", "mean"] | None
"""Whose row is read: of the first token, averaged over the patches, or None: first where a token is no patch."""
Prefix = Annotated[int, Range(low=0)] | None
"""Tokens before the patches."""
Grid = tuple[int, ...] | None
"""Patches along each axis of space."""

_MOST_PREFIX = 5  # class token and four registers, as in DINOv2 (arXiv:2309.16588), are the most that are deduced


def patch_grid(
    where: str, n_tokens: int, space: tuple[int, ...], n_prefix: int | None, grid: Grid
) -> tuple[int, tuple[int, ...]]:
    """Return how many tokens come before the patches, and the grid of the patches.

    What is not given is deduced from grids that divide the example's space by one number along all axes.

    Args:
        where: The method, for messages.
        n_tokens: The number of tokens.
        space: The example's space.
        n_prefix: Tokens before the patches, or None.
        grid: The grid, or None.

    Raises:
        InputError: The space has neither two nor three axes, what is given does not fit, or there is not exactly one
            way to lay out the tokens.

    Example:
        >>> patch_grid("rollout", 197, (224, 224), None, None)
        (1, (14, 14))
    """
    if len(space) not in (2, 3):
        raise InputError(
            f"{where}: the example's space {space} must have two or three axes, with channels behind; "
            "choose a method such as gradient for other inputs."
        )
    if grid is not None and len(grid) != len(space):
        raise InputError(f"{where}: the grid {grid} must have an entry for each axis of the space {space}.")
    grids = [grid] if grid is not None else _grids(space)
    least, most = (0, _MOST_PREFIX if grid is None else n_tokens) if n_prefix is None else (n_prefix, n_prefix)
    fitting = [one for one in grids if least <= n_tokens - math.prod(one) <= most and math.prod(one) > 1]
    if len(fitting) != 1:
        layouts = " or ".join(f"n_prefix={n_tokens - math.prod(one)}, grid={one}" for one in fitting)
        raise InputError(
            f"{where}: {n_tokens} tokens of the space {space} can be laid out as {layouts or 'no grid'} with "
            f"n_prefix={n_prefix} and grid={grid}; pass n_prefix=, the number of tokens before the patches, "
            "and grid=, the patches along each axis."
        )
    return n_tokens - math.prod(fitting[0]), fitting[0]


def _grids(space: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the grids of patches that have one side length and cover the space."""
    common = math.gcd(*space)
    return [tuple(length // side for length in space) for side in range(1, common + 1) if common % side == 0]


def start_row(n_tokens: int, n_prefix: int, read: Read, dtype: jnp.dtype) -> Array:
    """Return the weights with which the rows of a product of attentions are read."""
    first = n_prefix > 0 if read is None else read == "first"
    numbers = jnp.arange(n_tokens, dtype=jnp.int32)
    if first:
        return (numbers == 0).astype(dtype)
    return (numbers >= n_prefix).astype(dtype) / (n_tokens - n_prefix)


def token_map(
    where: str, rows: Array, n_prefix: int, grid: tuple[int, ...], space: tuple[int, ...], upsample: Upsample
) -> Array:
    """Lay the patches of ``(*t, tokens)`` out on their grid and bring them to the example's space."""
    front = rows.ndim - 1
    patches = rows[..., n_prefix:].reshape(*rows.shape[:-1], *grid)
    return resized(where, "attention", patches, front, space, upsample)
