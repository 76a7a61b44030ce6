"""Windows: masks and coverage against a loop over positions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.windows import Windows, check_windows

CASES = [
    ((6,), (2,), (2,)),
    ((7,), (3,), (2,)),
    ((8,), (3,), (2,)),
    ((5,), (5,), (1,)),
    ((5, 7), (2, 3), (1, 3)),
    ((5, 7), (2, 3), (2, 2)),
    ((4, 4), (1, 1), (1, 1)),
    ((4, 5, 3), (2, 2, 3), (2, 1, 3)),
]


def by_loop(shape, window, stride):
    """Start at 0, step until a window reaches the edge; what lies beyond is cut."""
    starts = []
    for size, width, step in zip(shape, window, stride, strict=True):
        own = [0]
        while own[-1] + width < size:
            own.append(own[-1] + step)
        starts.append(own)
    masks = []
    for corner in itertools.product(*starts):
        mask = np.zeros(shape, bool)
        mask[tuple(slice(start, start + width) for start, width in zip(corner, window, strict=True))] = True
        masks.append(mask)
    return tuple(map(len, starts)), np.array(masks)


@pytest.mark.parametrize(("shape", "window", "stride"), CASES)
def test_masks_grid_and_coverage(shape, window, stride):
    windows = Windows(shape, window, stride)
    grid, masks = by_loop(shape, window, stride)
    assert windows.grid == grid and len(windows) == len(masks)
    got = jax.jit(jax.vmap(windows.mask))(jnp.arange(len(windows), dtype=jnp.int32))
    assert got.dtype == bool
    np.testing.assert_array_equal(got, masks)
    np.testing.assert_array_equal(windows.coverage(), masks.sum(axis=0))
    assert windows.coverage().min() >= 1


def test_windows_are_structure_not_data():
    one, again = (Windows((5, 7), (2, 3), (1, 3)) for _ in range(2))
    assert jax.tree.leaves(one) == [] and jax.tree.structure(one) == jax.tree.structure(again)


@pytest.mark.parametrize(
    ("shape", "window", "stride", "words"),
    [
        ((5, 5), (2,), (1, 1), "do not fit an input of 2 axes, .*; give both 2 numbers, or 1 without the channels"),
        ((5, 5), (2, 2), (1,), "do not fit an input of 2 axes"),
        ((5,), (2, 2), (1, 1), r"do not fit an input of 1 axes, \(5,\); give both 1 numbers\."),
        ((5, 5), (6, 2), (1, 1), r"window \(6, 2\) does not fit the input \(5, 5\)"),
        ((5, 5), (0, 2), (1, 1), "does not fit"),
        ((5, 5), (2, 2), (3, 1), "leaves gaps"),
        ((5, 5), (2, 2), (0, 1), "between 1 and the window"),
    ],
)
def test_sizes_that_do_not_fit(shape, window, stride, words):
    with pytest.raises(InputError, match=words):
        check_windows("occlusion", shape, window, stride)


@pytest.mark.parametrize(("shape", "window", "stride"), CASES)
def test_sizes_that_fit(shape, window, stride):
    check_windows("occlusion", shape, window, stride)
