"""Gradient-weighted attention rollout, known as generic attention explainability."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.attention import attention_gradients
from jaxplain.graph.cam import UPSAMPLINGS, Upsample
from jaxplain.graph.tokens import Grid, Prefix, Read, patch_grid, start_row, token_map


@method(needs_attention=True, coarse=UPSAMPLINGS)
def gradient_rollout(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    read: Read = None,
    n_prefix: Prefix = None,
    grid: Grid = None,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Multiply attention matrices weighted by their positive gradients, added to the residual connection.

    ``R = (I + A_L) ... (I + A_1)`` with ``A_l = mean over heads of relu(df/dA * A)``: the rule ``R <- R + A_l R`` for
    self-attention, from ``R = I`` on. What the residual connection alone leaves where it is, the I in R, is shown as
    well where patches are read.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)`` with two or three axes of space.
        read: Which row of R is shown: "first", of the first token, a class token; "mean", averaged over the patches;
            None for "first" where there are tokens besides the patches, else "mean".
        n_prefix: Tokens before the patches: class token, registers. None deduces up to 5 from the grid.
        grid: Patches along each axis of space. None deduces the one grid of patches of equal sides that fits.
        upsample: How the map is brought to the example's space: "bilinear", "nearest", or None for the grid.

    Returns:
        Not negative, without channels: ``(*t, *space)`` of the example, or of the grid for ``upsample=None``.

    Raises:
        InputError: The network has no self-attention over one set of tokens, or the tokens' grid is not clear.

    References:
        Chefer, Gur and Wolf 2021, Generic Attention-model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers, arXiv:2103.15679.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):  # one head over four pixels, all alike
        ...     tokens = x.reshape(4, 1)
        ...     return jnp.sum(jax.nn.softmax(tokens @ tokens.T) @ tokens)
        >>> gradient_rollout(f, jnp.ones((2, 2, 1)))
        Array([[0.5, 0.5],
               [0.5, 0.5]], dtype=float32)
    """
    where = "gradient_rollout"
    score, matrices, gradients = attention_gradients(where, f, x)
    n_tokens, space = matrices[0].shape[-1], x.shape[:-1]
    prefix, patches = patch_grid(where, n_tokens, space, n_prefix, grid)
    start = start_row(n_tokens, prefix, read, matrices[0].dtype)
    row = jnp.broadcast_to(start, (*score.shape, n_tokens))
    for attention, gradient in zip(reversed(matrices), reversed(gradients), strict=True):
        weighted = jnp.mean(jax.nn.relu(gradient * attention[(None,) * score.ndim]), axis=-3)
        row = row + jnp.einsum("...i,...ij->...j", row, weighted)
    return token_map(where, row, prefix, patches, space, upsample).astype(x.dtype)
