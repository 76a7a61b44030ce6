"""Views against NumPy's flips, turns and shifts, and the way back."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.core.views import Views

IMAGE = np.arange(4 * 4 * 2).reshape(4, 4, 2)


def every(views, values, first=0):
    """What all views show."""
    return np.asarray(jax.vmap(lambda i: views.seen(jnp.asarray(values), i, first))(jnp.arange(len(views))))


def same(found, wanted):
    """Two sets of arrays, in any order."""
    return sorted(one.tobytes() for one in found) == sorted(np.asarray(one, found.dtype).tobytes() for one in wanted)


def test_flips_and_turns_are_numpys():
    views = Views((4, 4), flips=(-1,), turns=(0, 1))
    want = [np.rot90(IMAGE[:, ::step], k) for step in (1, -1) for k in range(4)]
    assert same(every(views, IMAGE), want)
    assert len({one.tobytes() for one in every(views, IMAGE)}) == 8  # the symmetries of a square


def test_shifts_repeat_the_edge():
    def shifted(values, dy, dx):
        padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
        return padded[1 - dy : 5 - dy, 1 - dx : 5 - dx]

    want = [shifted(IMAGE, *by) for by in itertools.product((0, 1, -1), repeat=2)]
    assert same(every(Views((4, 4), shift=1), IMAGE), want)


@pytest.mark.parametrize("first", [0, 1])
def test_flips_and_turns_are_undone(first):
    views, values = Views((4, 4), flips=(0, 1), turns=(1, 0)), np.moveaxis(IMAGE, -1, 0) if first else IMAGE
    there = lambda i: views.back(views.seen(jnp.asarray(values), i, first), i, first)  # noqa: E731
    np.testing.assert_array_equal(jax.vmap(there)(jnp.arange(len(views))), np.stack([values] * 16))


def test_shifts_are_undone_but_at_the_edge():
    views = Views((6, 5), shift=2)
    values = jnp.arange(30.0).reshape(6, 5)
    for number in range(len(views)):
        back = views.back(views.seen(values, jnp.int32(number)), jnp.int32(number))
        np.testing.assert_array_equal(back[2:-2, 2:-2], values[2:-2, 2:-2])


def test_the_view_number_zero_is_the_example():
    for views in (Views((4, 4)), Views((4, 4), (0,), (0, 1), 1)):
        np.testing.assert_array_equal(views.seen(jnp.asarray(IMAGE), jnp.int32(0)), IMAGE)
    assert len(Views((4, 4))) == 1


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"flips": (2,)}, r"flips = \(2,\) must be different axes of the space \(4, 3\)"),
        ({"flips": (1, -1)}, "must be different axes"),
        ({"turns": (0, 1)}, r"turns = \(0, 1\) must name two axes of equal length"),
        ({"turns": (0,)}, "must name two axes"),
        ({"shift": 3}, r"shift = 3 must be less than every axis of \(4, 3\)"),
    ],
)
def test_what_does_not_fit_the_space_is_refused(knobs, words):
    with pytest.raises(InputError, match=words):
        Views((4, 3), **knobs)
