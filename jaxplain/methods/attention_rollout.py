"""Attention rollout: attention matrices, each with the residual connection, multiplied through all layers."""

from collections.abc import Callable, Mapping
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.attention import attention_matrices
from jaxplain.graph.cam import UPSAMPLINGS, Upsample
from jaxplain.graph.tokens import Grid, Prefix, Read, patch_grid, start_row, token_map

_FUSED: Mapping[str, Callable[..., Array]] = {"mean": jnp.mean, "max": jnp.max, "min": jnp.min}


@method(needs_attention=True, coarse=UPSAMPLINGS)
def attention_rollout(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    heads: Literal["mean", "max", "min"] = "mean",
    read: Read = None,
    n_prefix: Prefix = None,
    grid: Grid = None,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Multiply the attention matrices of all layers, half of each being the residual connection.

    ``R = A_L ... A_1`` with ``A_l = (mean over heads of the attention + I) / 2``, rows scaled to one. It is the same
    for every score: only the network's attention takes part, not its values, and no gradient.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)`` with two or three axes of space.
        heads: How the heads of a layer become one matrix; "mean" as published.
        read: Which row of R is shown: "first", of the first token, a class token; "mean", averaged over the patches;
            None for "first" where there are tokens besides the patches, else "mean".
        n_prefix: Tokens before the patches: class token, registers. None deduces up to 5 from the grid.
        grid: Patches along each axis of space. None deduces the one grid of patches of equal sides that fits.
        upsample: How the map is brought to the example's space: "bilinear", "nearest", or None for the grid.

    Returns:
        Not negative, without channels: ``(*t, *space)`` of the example, or of the grid for ``upsample=None``. Over all
        tokens the row sums to one; the part of tokens before the patches is not shown.

    Raises:
        InputError: The network has no self-attention over one set of tokens, or the tokens' grid is not clear.

    References:
        Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, arXiv:2005.00928,
        doi:10.18653/v1/2020.acl-main.385.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):  # one head over four pixels, all alike
        ...     tokens = x.reshape(4, 1)
        ...     return jnp.sum(jax.nn.softmax(tokens @ tokens.T) @ tokens)
        >>> attention_rollout(f, jnp.ones((2, 2, 1)))
        Array([[0.25, 0.25],
               [0.25, 0.25]], dtype=float32)
    """
    where = "attention_rollout"
    score, matrices = attention_matrices(where, f, x)
    n_tokens, space = matrices[0].shape[-1], x.shape[:-1]
    prefix, patches = patch_grid(where, n_tokens, space, n_prefix, grid)
    row = start_row(n_tokens, prefix, read, matrices[0].dtype)
    for attention in reversed(matrices):
        fused = _FUSED[heads](attention, axis=0)
        with_residual = fused + jnp.eye(n_tokens, dtype=fused.dtype)
        row = row @ (with_residual / jnp.sum(with_residual, axis=-1, keepdims=True))
    cam = token_map(where, row, prefix, patches, space, upsample).astype(x.dtype)
    return jnp.broadcast_to(cam, (*score.shape, *cam.shape))
