"""What is known of the sign of values, and that nothing is claimed beyond it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

from jaxplain.graph.blocks import blocks_of
from jaxplain.graph.signs import Sign, signs_of
from jaxplain.graph.trace import trace

X = jnp.asarray([[-2.0, -0.0, 0.0, 1.5], [3.0, -1.0, -0.5, 0.25]])
IMAGE = jnp.linspace(-1.0, 1.0, 64).reshape(1, 4, 8, 2)
relu = jax.nn.relu


def sign(f, x=X):
    """The sign that is known of a function's result."""
    traced = trace(f, x)
    (result,) = traced.program.outputs
    return signs_of(traced)[()][result]


NONNEGATIVE = {
    "relu": relu,
    "maximum": lambda x: jnp.maximum(0.0, x),
    "clip": lambda x: jnp.clip(x, 0, 2),
    "clamp": lambda x: lax.clamp(0.0, x, 2.0),
    "relu6": jax.nn.relu6,
    "moved": lambda x: jnp.concatenate([relu(x).T.reshape(-1)[2:], jnp.zeros(3), jnp.abs(x[0])]),
    "indexed": lambda x: relu(x)[:, jnp.array([0, 2])] + lax.dynamic_slice(relu(x), (0, 1), (2, 2)),
    "padded": lambda x: jnp.pad(relu(x), 1),
    "sums": lambda x: relu(x) + relu(-x) + jnp.sum(relu(x), 1, keepdims=True) + jnp.cumsum(relu(x), 0),
    "average": lambda x: jnp.mean(relu(x), 1),
    "products": lambda x: relu(x) * jax.nn.sigmoid(x) * 2.0 / 3.0,
    "matrix product": lambda x: relu(x) @ jnp.exp(x).T,
    "chosen": lambda x: jnp.where(x > 1, relu(x), jnp.where(x < 0, 2.0, x**2)),
    "masked": lambda x: relu(x) * (x < 1).astype(x.dtype),
    "one hot": lambda x: jax.nn.one_hot(jnp.argmax(x, 1), 4),
    "odd and rising": lambda x: jnp.tanh(jnp.sqrt(relu(x))) + jnp.log1p(relu(x)) ** 3,
    "quotient by what is clear": lambda x: relu(x) / jnp.sum(jnp.exp(x)),
    "in lower precision": lambda x: relu(x).astype(jnp.bfloat16),
    "sorted": lambda x: jnp.sort(relu(x)),
}
CLEAR = {
    "squares": lambda x: jnp.square(x) + x * x + x**2 + x**-2 + x**4,
    "absolute": jnp.abs,
    "norm": lambda x: jnp.sqrt(jnp.sum(x * x)),
    "exponential": jnp.exp,
    "sigmoid": jax.nn.sigmoid,
    "softmax": jax.nn.softmax,
    "powers of what is clear": lambda x: jnp.exp(x) ** 0.3 * lax.rsqrt(jnp.exp(x)) * jnp.exp(x) ** -3,
    "constants": lambda x: jnp.full(3, 2.0),
}
UNKNOWN = {
    "input": lambda x: x + 0.0,
    "difference": lambda x: relu(x) - 1.0,
    "negated": lambda x: -relu(x),
    "scaled below zero": lambda x: relu(x) * -2.0,
    "clipped below zero": lambda x: jnp.clip(x, -1, 2),
    "bounded from above": lambda x: jnp.minimum(x, 3.0),
    "sum with the input": lambda x: relu(x) + x,
    "one branch of where": lambda x: jnp.where(x > 1, relu(x), x),
    "product with the input": lambda x: relu(x) @ x.T,
    "cube": lambda x: x**3,
    "logarithm": lambda x: jnp.log(relu(x)),
    "quotient by what may be -0.0": lambda x: 1.0 / relu(x),
    "reciprocal root of what may be -0.0": lambda x: lax.rsqrt(relu(x)),
    "padded below zero": lambda x: jnp.pad(relu(x), 1, constant_values=-1.0),
    "negative zero": lambda x: jnp.full(3, -0.0),
    "integers": lambda x: jnp.abs(x).astype(jnp.int32) * 2**30,
    "maximum of nothing": lambda x: lax.reduce_max_p.bind(relu(x)[:, :0], axes=(1,), out_sharding=None),
    "cosine": jnp.cos,
}


@pytest.mark.parametrize("name", NONNEGATIVE)
def test_what_a_relu_leaves_non_negative_is_known(name):
    assert sign(NONNEGATIVE[name]) >= Sign.NONNEGATIVE
    assert not (NONNEGATIVE[name](X) < 0).any()


@pytest.mark.parametrize("name", CLEAR)
def test_squares_and_exponentials_are_known_to_have_no_negative_zero(name):
    assert sign(CLEAR[name]) == Sign.CLEAR
    assert not jnp.signbit(CLEAR[name](X)).any()


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_may_be_negative_stays_unknown(name):
    assert sign(UNKNOWN[name]) == Sign.UNKNOWN


def average(x, window, strides, padding="VALID"):
    """Averages over what lies inside of the image."""
    size = (1, *window, 1), (1, *strides, 1), padding
    return lax.reduce_window(x, 0.0, lax.add, *size) / lax.reduce_window(jnp.ones(x.shape), 0.0, lax.add, *size)


def test_pooling_of_non_negative_values_is_non_negative_unless_a_window_is_empty():
    def known(pool, **knobs):
        return sign(lambda x: pool(relu(x), (2, 2), (2, 2), **knobs), IMAGE)

    assert known(linen.max_pool) == known(average) == Sign.NONNEGATIVE
    assert known(linen.max_pool, padding="SAME") == Sign.NONNEGATIVE
    assert known(average, padding="SAME") == Sign.NONNEGATIVE
    assert known(linen.max_pool, padding=((2, 0), (0, 0))) == Sign.UNKNOWN  # a row of -inf
    assert np.isneginf(linen.max_pool(IMAGE, (2, 2), (2, 2), ((2, 0), (0, 0)))).any()


def test_weights_have_no_sign_and_convolutions_none_either():
    scaled = jax.tree_util.Partial(lambda weights, x: relu(x) * weights, jnp.ones((1, 4)))
    assert sign(scaled) == Sign.UNKNOWN
    numbers = ("NHWC", "HWIO", "NHWC")

    def blur(x):
        return lax.conv_general_dilated(relu(x), jnp.ones((2, 2, 2, 1)), (1, 1), "SAME", dimension_numbers=numbers)

    assert sign(blur, IMAGE) == Sign.UNKNOWN


def test_bodies_of_calls_are_followed():
    assert sign(jax.jit(lambda x: relu(x) + 1.0)) == Sign.NONNEGATIVE
    assert sign(jax.checkpoint(lambda x: jnp.sqrt(relu(x)))) == Sign.NONNEGATIVE

    @jax.custom_vjp
    def own(x):
        return relu(x)

    own.defvjp(lambda x: (relu(x), None), lambda kept, g: (g,))
    assert sign(own) == Sign.NONNEGATIVE


def test_of_branches_all_count():
    def cond(other):
        return lambda x: lax.cond(x[0, 0] > 0, relu, other, x)

    assert sign(cond(jnp.abs)) == Sign.NONNEGATIVE
    assert sign(cond(lambda x: x)) == Sign.UNKNOWN


def test_of_a_loop_the_signs_hold_in_every_round():
    def scanned(body, start=relu):
        return lambda x: lax.scan(lambda carry, _: (body(carry), None), start(x), None, length=3)[0]

    assert sign(scanned(lambda h: relu(h) + h)) == Sign.NONNEGATIVE
    assert sign(scanned(relu, start=lambda x: x)) == Sign.UNKNOWN  # of no rounds the carry is what it was
    assert sign(scanned(lambda h: h - 1.0)) == Sign.UNKNOWN
    assert sign(lambda x: lax.fori_loop(0, 3, lambda _, h: h * h + h, relu(x))) == Sign.NONNEGATIVE
    assert sign(lambda x: lax.fori_loop(0, 3, lambda _, h: h - 1.0, relu(x))) == Sign.UNKNOWN

    def swapped(x):
        """The sign of the third value reaches the first one in the second round."""
        a, b, c = relu(x), relu(x), x
        return lax.scan(lambda carry, _: ((carry[1], carry[2], carry[2]), None), (a, b, c), None, length=3)[0][0]

    assert sign(swapped) == Sign.UNKNOWN


def test_stacked_outputs_and_slices_of_a_scan_are_followed():
    def stacked(x):
        return lax.scan(lambda carry, row: (carry, relu(row)), 0.0, x)[1]

    assert sign(stacked) == Sign.NONNEGATIVE
    assert sign(lambda x: lax.scan(lambda total, row: (total + row.sum(), None), 0.0, relu(x))[0]) == Sign.NONNEGATIVE


def nonnegative(f, x=X):
    """Kind, and what is known of the inputs that depend on the example, of each block in order."""
    blocks, _ = blocks_of(trace(f, x))
    return [(one.block.kind, *np.array(one.nonnegative)[list(one.moving)].tolist()) for one in blocks]


def test_blocks_know_which_of_their_inputs_are_non_negative():
    weight = jnp.ones((4, 4))
    assert nonnegative(lambda x: relu(relu(x @ weight) @ weight)) == [
        ("dot", False), ("relu", False), ("dot", True), ("relu", False),
    ]  # fmt: skip
    assert nonnegative(lambda x: relu(x) + x) == [("relu", False), ("sum", True, False)]


def test_a_relu_that_is_written_out_counts_as_one():
    def written(x):
        return jnp.where(x > 0, x, 0.0)

    assert nonnegative(lambda x: written(x) @ jnp.ones((4, 2)))[-1] == ("dot", True)

    def leaky(x):
        return jnp.where(x > 0, x, 0.1 * x)

    assert nonnegative(lambda x: leaky(x) @ jnp.ones((4, 2)))[-1] == ("dot", False)


def test_a_function_that_is_only_called_relu_does_not_count():
    @jax.jit
    def relu(x):
        return x - 1.0

    assert nonnegative(lambda x: relu(x) @ jnp.ones((4, 2)))[-1] == ("dot", False)


def test_one_body_that_is_called_twice_has_the_signs_of_each_call():
    block = jax.jit(lambda x: x @ jnp.ones((4, 4)))
    kinds = nonnegative(lambda x: block(relu(x)) + block(x))
    assert [known for kind, *known in kinds if kind == "dot"] == [[True], [False]]
