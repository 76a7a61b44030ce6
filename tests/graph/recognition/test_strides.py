"""Layouts in digits say of each entry what NumPy's own indexing says."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._compat import trace_program
from jaxplain.graph.recognition.strides import NoLayout, digits_of, laid, whole, zeroed


def entries(layout, shape):
    """The position in the source of each entry."""
    result = np.zeros(shape, int)
    for axis, (digits, length) in enumerate(zip(layout, shape, strict=True)):
        along = np.zeros((), int)
        for size, stride in digits:
            along = np.add.outer(along, np.arange(size) * stride)
        result += np.expand_dims(along.reshape(length), [k for k in range(len(shape)) if k != axis])
    return result


def followed(f, shape):
    """The layout of what a chain of layout operations returns, and NumPy's answer."""
    source = jnp.arange(np.prod(shape), dtype=jnp.int32).reshape(shape)
    program, _ = trace_program(f, source)
    layouts = {program.inputs[0]: whole(shape)}
    for equation in program.equations:
        layouts[equation.outvars[0]] = laid(equation, layouts[equation.invars[0]])
    return layouts[program.outputs[0]], np.asarray(f(source))


CHAINS = {
    "heads": lambda x: x.reshape(4, 3, 2).transpose(1, 0, 2),
    "heads and back": lambda x: x.reshape(4, 3, 2).transpose(1, 0, 2).transpose(1, 0, 2).reshape(4, 6),
    "groups spread": lambda x: jnp.broadcast_to(x.reshape(4, 2, 3)[..., None], (4, 2, 3, 5)).reshape(4, 2, 15),
    "axes of one": lambda x: jnp.squeeze(x[None, :, None, :], 0).T,
    "flattened and cut anew": lambda x: x.reshape(24).reshape(2, 3, 4),
    "columns first": lambda x: x.T.reshape(3, 2, 2, 2),
}


@pytest.mark.parametrize("name", CHAINS)
def test_of_a_chain(name):
    layout, want = followed(CHAINS[name], (4, 6))
    np.testing.assert_array_equal(entries(layout, want.shape), want)


def test_there_and_back_is_the_same_layout():
    assert followed(CHAINS["heads and back"], (4, 6))[0] == whole((4, 6))


def test_the_first_of_each_group():
    """Groups of three of six columns, in a transposed value."""
    layout, values = followed(lambda x: x.T, (4, 6))
    first = zeroed(layout, ((3, 1),))
    np.testing.assert_array_equal(entries(first, (6, 4)), values - values % 3)
    np.testing.assert_array_equal(entries(zeroed(layout, ((4, 6),)), (6, 4)), values % 6)


def test_equal_sets_have_equal_digits():
    assert digits_of(whole((4, 6)), [1, 0]) == digits_of(whole((2, 12)), [0, 1]) == ((24, 1),)
    assert digits_of(whole((4, 1, 6)), [1]) == ()


def test_what_no_digits_describe_is_refused():
    with pytest.raises(NoLayout):
        followed(lambda x: x.T.reshape(4, 6), (4, 6))
