"""The layer table of bare functions: scopes, numbering, shapes, and what is no layer."""

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from jaxplain import InputError
from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap

X = jnp.ones((3,))
W = jnp.ones((3, 3))


def table(f, x=X):
    return {layer.path: layer.shape for layer in layers(f, x)}


def block(x, name):
    with jax.named_scope(name):
        return jax.nn.relu(x @ W)


def test_a_shared_first_scope_is_the_root():
    def f(x):
        with jax.named_scope("net"):
            return block(block(x, "a"), "b")

    assert list(table(f)) == ["a/relu", "a", "b/relu", "b"]
    assert list(table(lambda x: block(x, "only"))) == ["only/relu", "only"]
    assert list(table(lambda x: block(block(x, "a"), "b"))) == ["a/relu", "a", "b/relu", "b"]


def test_calls_are_numbered_in_order():
    assert list(table(lambda x: block(block(x, "a") * 2.0, "a") + block(x, "b"))) == [
        "a/relu", "a", "a/relu@2", "a@2", "b/relu", "b",
    ]  # fmt: skip


def test_only_values_that_depend_on_the_input_and_are_used():
    def f(x):
        with jax.named_scope("a"):
            position = jnp.sin(W[0])
            unused = jnp.cos(x)
            index = jnp.argmax(x)
        with jax.named_scope("b"):
            del unused
            return x[index] * 2.0 + position

    assert list(table(f)) == ["b"]


def test_the_last_used_value_is_the_output():
    def f(x):
        with jax.named_scope("a"):
            first = x * 2.0
            second = jnp.stack([first, first])
        return first.sum() + second.sum()

    assert table(f) == {"a": (2, 3)}


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (lambda x: checkpoint_name(x @ W, "h"), (3,)),
        (lambda x: checkpoint_name(x[None] @ W, "h")[0], (3,)),
        (lambda x: checkpoint_name(x.reshape(1, 3) @ W, "h")[0], (3,)),
        (lambda x: checkpoint_name(x @ W[:, :1], "h"), (1,)),
        (lambda x: checkpoint_name(jnp.stack([x, x])[None], "h").sum(), (2, 3)),
        (lambda x: jax.jit(lambda b: checkpoint_name(b * 2.0, "h"))(x[None])[0], (3,)),
    ],
    ids=["none", "indexed", "reshaped", "one unit", "more axes", "jit"],
)
def test_only_the_networks_batch_axis_is_left_out(f, shape):
    assert table(f) == {"h": shape}
    score, activation = tap(f, "h")(X, jnp.zeros(shape))
    assert activation.shape == shape and score.shape == jax.eval_shape(f, X).shape


def test_nested_scans_take_two_indices():
    def inner(h, _):
        return checkpoint_name(jnp.sin(h), "deep"), None

    def outer(h, _):
        return jax.lax.scan(inner, h, None, length=2)[0], None

    f = lambda x: jax.lax.scan(outer, x, None, length=4)[0].sum()  # noqa: E731
    assert table(f) == {"deep": (4, 2, 3)}
    assert tap(f, "deep[3]")(X)[1].shape == (2, 3)
    assert tap(f, "deep[3][1]")(X, jnp.zeros(3))[1].shape == (3,)


def test_while_loops_are_listed_but_not_tapped():
    f = lambda x: jax.lax.while_loop(lambda h: h.sum() < 9, lambda h: block(h, "body"), x).sum()  # noqa: E731
    assert "body" in table(f)
    with pytest.raises(InputError, match="while loop"):
        tap(f, "body")(X)


def test_shapes_alone_are_enough():
    assert table(lambda x: block(x, "a").sum(), jax.ShapeDtypeStruct((3,), jnp.float32)) == {"a/relu": (3,), "a": (3,)}


def test_einsum_and_library_calls_are_no_layers():
    def f(x):
        with jax.named_scope("a"):
            return jnp.einsum("i,ij->j", x, W)

    assert list(table(f)) == ["a"]


def test_known_layers_are_listed_when_none_is_near():
    with pytest.raises(InputError, match="known: a, a/relu"):
        tap(lambda x: block(x, "a").sum(), "zzz")(X)
    with pytest.raises(InputError, match="known: none"):
        tap(lambda x: x, "zzz")(X)
