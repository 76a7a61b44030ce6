"""The batch axis is followed through every change of layout."""

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap, zero_deltas

X = jax.random.normal(jax.random.key(0), (4, 6))
W = jnp.ones((6, 5))

# Each takes the batch of one (1, 4, 6); the shape is that of the tagged value without its batch axis.
CASES = {
    "transpose": (lambda b: b.transpose(1, 0, 2), (4, 6)),
    "reshape": (lambda b: b.reshape(1, 2, 2, 6), (2, 2, 6)),
    "reshape behind": (lambda b: b.transpose(1, 0, 2).reshape(2, 2, 1, 6), (2, 2, 6)),
    "tokens joined": (lambda b: b.reshape(4, 6), (4, 6)),
    "tokens joined and parted": (lambda b: (b.reshape(4, 6) @ W).reshape(1, 4, 5), (4, 5)),
    "sum": (lambda b: b.transpose(1, 0, 2).sum(2), (4,)),
    "keepdims": (lambda b: b.mean((1, 2), keepdims=True), (1, 1)),
    "dense": (lambda b: b @ W, (4, 5)),
    "batched product": (lambda b: jnp.einsum("bnd,bmd->bnm", b, b), (4, 4)),
    "heads": (lambda b: jnp.einsum("bnhd,bmhd->bhnm", *[b.reshape(1, 4, 2, 3)] * 2), (2, 4, 4)),
    "weights first": (lambda b: jnp.einsum("de,bnd->ebn", W, b), (5, 4)),
    "convolution": (
        lambda b: jax.lax.conv_general_dilated(
            b[..., None], jnp.ones((3, 3, 1, 2)), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (4, 6, 2),
    ),
    "first token": (lambda b: b[:, 0], (6,)),
    "chosen token": (lambda b: b[:, jnp.argmax(b[0, :, 0])], (6,)),
    "chosen tokens": (lambda b: b[:, jnp.array([2, 0])], (2, 6)),
    "concatenated": (lambda b: jnp.concatenate([jnp.zeros((1, 1, 6)), b], axis=1), (5, 6)),
    "vmap over tokens": (lambda b: jax.vmap(jnp.tanh, in_axes=1, out_axes=1)(b), (4, 6)),
    "time first": (
        lambda b: jax.lax.scan(lambda h, t: (h + t, h * t), jnp.zeros((1, 6)), b.transpose(1, 0, 2))[1],
        (4, 6),
    ),
    "one channel": (lambda b: b[..., :1], (4, 1)),
}


@pytest.mark.parametrize(("layout", "shape"), CASES.values(), ids=CASES)
def test_shape_without_the_batch_axis(layout, shape):
    def f(x):
        return (checkpoint_name(layout(x[None]), "value") ** 2).sum()

    assert layers(f, X)[0].shape == shape
    _, pull, activation = jax.vjp(lambda delta: tap(f, "value")(X, delta), zero_deltas(f, X, "value"), has_aux=True)
    assert jnp.allclose(pull(jnp.ones(()))[0], 2 * activation, rtol=1e-5)
    assert activation.shape == shape


def test_inside_a_scan_over_time():
    def cell(h, t):
        return checkpoint_name(jnp.tanh(h + t), "state"), None

    f = lambda x: jax.lax.scan(cell, jnp.zeros((1, 6)), x[None].transpose(1, 0, 2))[0].sum()  # noqa: E731
    assert layers(f, X)[0].shape == (4, 6)
