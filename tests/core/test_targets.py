"""Targets: the value of each by NumPy, leaves with and without the images, and what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import ClassMask, Logit, Logits, LogProb, Margin, Output, Point, Predicted, Prob, Region
from jaxplain.core.targets import batch_axes, leaf
from jaxplain.testing import tol

RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=6).astype(np.float32)
SPACE = RNG.normal(size=(3, 4, 5)).astype(np.float32)
MASK = RNG.integers(0, 2, (3, 4)).astype(bool)
PROBS = np.exp(VECTOR) / np.exp(VECTOR).sum()

VALUES = {
    "logit": (Logit(2), VECTOR, VECTOR[2]),
    "logits": (Logits(jnp.array([4, 0])), VECTOR, VECTOR[[4, 0]]),
    "logprob": (LogProb(3), VECTOR, np.log(PROBS[3])),
    "prob": (Prob(3), VECTOR, PROBS[3]),
    "margin of the largest": (Margin(VECTOR.argmax()), VECTOR, np.diff(np.sort(VECTOR)[-2:])[0]),
    "margin of another": (Margin(VECTOR.argmin()), VECTOR, VECTOR.min() - VECTOR.max()),
    "class mask": (ClassMask(1, jnp.asarray(MASK)), SPACE, SPACE[MASK, 1].sum()),
    "region": (Region(jnp.asarray(MASK, jnp.float32)), SPACE, SPACE[MASK].sum()),
    "point": (Point(jnp.array([2, 1]), 4), SPACE, SPACE[2, 1, 4]),
    "output itself": (Output(), VECTOR, VECTOR),
    "output by position": (Output((5,)), VECTOR, VECTOR[5]),
    "predicted": (Predicted(), VECTOR, VECTOR.max()),
    "predicted probability": (Predicted(Prob), VECTOR, PROBS.max()),
}


@pytest.mark.parametrize("name", VALUES)
def test_value(name):
    target, output, want = VALUES[name]
    for call in (target, jax.jit(target), jax.jit(lambda output: target(output))):
        np.testing.assert_allclose(call(jnp.asarray(output)), want, **tol(np.float32, terms=output.size))


def test_output_walks_through_dictionaries_and_sequences():
    tree = {"heads": [jnp.asarray(VECTOR), (jnp.asarray(SPACE),)], "other": jnp.zeros(2)}
    assert Output(("heads", 0), Logit(1))(tree) == VECTOR[1]
    assert Output(("heads", 1, 0), Point(jnp.array([0, 0]), 0))(tree) == SPACE[0, 0, 0]
    assert Output(("heads", -1, 0), Region(jnp.ones((3, 4))))(tree).shape == ()


@pytest.mark.parametrize(
    ("target", "axes"),
    [
        (Logit(3), [None]),
        (Logit(jnp.zeros(7, jnp.int32)), [0]),
        (Logits(jnp.zeros(2, jnp.int32)), [None]),
        (Logits(jnp.zeros((7, 2), jnp.int32)), [0]),
        (ClassMask(jnp.zeros(7, jnp.int32), jnp.zeros((3, 4))), [0, None]),
        (ClassMask(1, jnp.zeros((7, 3, 4))), [None, 0]),
        (Region(jnp.zeros((7, 3, 4))), [0]),
        (Point(jnp.zeros((7, 2), jnp.int32), 0), [0, None]),
        (Output(("a",), Region(jnp.zeros((7, 3, 4)))), [0]),
        (Output(("a",), ClassMask(1, jnp.zeros((3, 4)))), [None, None]),
        (Predicted(), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_leaves_carry_the_images(target, axes):
    found = batch_axes(target, output_rank=3)
    assert jax.tree.leaves(found, is_leaf=lambda axis: axis is None) == axes


def test_foreign_targets_declare_a_rank_or_carry_images_with_any_axis():
    from jaxplain._pytree import pytree

    @pytree
    class Weighted:
        weights: jax.Array = leaf(rank=1)
        shift: object = 0.0

        def __call__(self, output):
            return jnp.sum(self.weights * output) + self.shift

    assert jax.tree.leaves(batch_axes(Weighted(jnp.ones(6)), 1), is_leaf=lambda a: a is None) == [None, None]
    assert jax.tree.leaves(batch_axes(Weighted(jnp.ones((7, 6)), jnp.ones(7)), 1)) == [0, 0]
    assert jax.tree.leaves(batch_axes({"plain": jnp.ones(7), "number": 1.0}, 1)) == [0]


def scores_of_pixels(params, batch):
    return batch * params


def test_each_image_gets_its_own_mask_and_class():
    """The map of a sum over a mask of a network that scales pixels is the mask times the class's factor."""
    images, factors = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32), np.arange(1.0, 6.0, dtype=np.float32)
    model = jaxplain.from_function(scores_of_pixels, jnp.asarray(factors).reshape(1, 1, 1, 5))
    masks = RNG.integers(0, 2, (2, 3, 4)).astype(np.float32)
    classes = np.array([4, 1])
    maps = jaxplain.explain(
        model, images, ClassMask(jnp.asarray(classes, jnp.int32), jnp.asarray(masks)), method="gradient"
    )
    want = masks[..., None] * (np.arange(5) == classes[:, None, None, None]) * factors
    np.testing.assert_allclose(maps, want, **tol(np.float32))


def test_a_class_outside_is_nan_and_so_is_minus_one():
    for index in (6, -1, -7):
        for target in (Logit(index), LogProb(index), Prob(index), Margin(index)):
            assert np.isnan(target(jnp.asarray(VECTOR))), target
            assert np.isnan(jax.jit(lambda target: target(jnp.asarray(VECTOR)))(target))
    np.testing.assert_array_equal(np.isnan(Logits(jnp.array([0, 6, -1]))(jnp.asarray(VECTOR))), [False, True, True])
    assert np.isnan(ClassMask(-1, jnp.ones((3, 4)))(jnp.asarray(SPACE)))
    for position, index in (([3, 0], 0), ([0, 4], 0), ([-1, 0], 0), ([0, 0], 5)):
        assert np.isnan(Point(jnp.array(position), index)(jnp.asarray(SPACE)))


@pytest.mark.parametrize(
    ("target", "output", "words"),
    [
        (Logit(0), SPACE, r"vector of outputs, got the shape \(3, 4, 5\)"),
        (Output(("b",)), {"a": VECTOR}, r"no part 'b' .* which has \['a'\]"),
        (Output((6,)), VECTOR, r"no part 6 .* an array of shape \(6,\)"),
        (Output((-7,)), VECTOR, "no part -7"),
        (Output((2,)), [VECTOR, VECTOR], "no part 2 .* a list"),
        (Output(("a",)), VECTOR, "no part 'a'"),
        (ClassMask(0, jnp.ones((4, 3))), SPACE, r"mask of shape \(4, 3\) does not fit"),
        (ClassMask(0, jnp.ones((1, 1))), SPACE, r"mask of shape \(1, 1\) does not fit"),
        (Region(jnp.ones((3, 4, 5))), SPACE, "axes but the last"),
        (Point(jnp.array([1]), 0), SPACE, "pass 2 coordinates"),
        (Predicted(), [VECTOR, VECTOR], "2 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(target, output, words):
    with pytest.raises(jaxplain.InputError, match=words):
        target(jax.tree.map(jnp.asarray, output))
