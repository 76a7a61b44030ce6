"""Targets are held to the outputs and the images before anything is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import ClassMask, InputError, Logit, Logits, LogProb, Margin, Output, Point, Predicted, Region
from jaxplain.core.fitting import check_classes, check_images
from jaxplain.testing import smooth_network
from jaxplain.testing.networks import images

VECTOR = jax.ShapeDtypeStruct((5,), np.float32)
SPACE = jax.ShapeDtypeStruct((3, 4, 5), np.float32)


@pytest.mark.parametrize(
    ("target", "output", "words"),
    [
        (Logit(5), VECTOR, r"Logit\.index: class 5 lies outside the network's outputs 0 \.\.\. 4"),
        (Logit(-1), VECTOR, "class -1 lies outside"),
        (LogProb(np.array([0, 4, 5, 6])), VECTOR, r"LogProb\.index: class 5 \(entry 2\)"),
        (Margin(jnp.array([0, -1])), VECTOR, r"class -1 \(entry 1\)"),
        (Logits(jnp.array([[0, 1], [7, 2]])), VECTOR, r"Logits\.indices: class 7 \(entry \(1, 0\)\)"),
        (ClassMask(5, jnp.ones((3, 4))), SPACE, r"ClassMask\.index: class 5"),
        (Point(jnp.array([9, 9]), 6), SPACE, r"Point\.index: class 6"),
        (Output(("a", 1), Logit(5)), {"a": (SPACE, VECTOR)}, r"Logit\.index: class 5"),
    ],
)
def test_classes_that_the_network_does_not_have(target, output, words):
    with pytest.raises(InputError, match=words):
        check_classes(target, output)


@pytest.mark.parametrize(
    ("target", "output"),
    [
        (Logit(4), VECTOR),
        (Logits(jnp.array([[0, 4], [3, 2]])), VECTOR),
        (Region(jnp.full((3, 4), 9.0)), SPACE),
        (Point(jnp.array([9, 9]), 4), SPACE),
        (Output(("a",), Logit(4)), {"a": VECTOR, "b": jax.ShapeDtypeStruct((1,), np.float32)}),
        (Output(), SPACE),
        (Predicted(), VECTOR),
        (Logit(7), {"a": VECTOR}),  # the target itself refuses this output, in better words
        (jnp.sum, VECTOR),
    ],
)
def test_what_fits_or_cannot_be_told(target, output):
    check_classes(target, output)


def test_traced_classes_cannot_be_looked_at():
    jax.jit(lambda index: check_classes(Logit(index), VECTOR))(9)


def test_numbers_of_images():
    check_images(ClassMask(jnp.zeros(3, int), jnp.ones((3, 4))), (0, None), 3)
    with pytest.raises(InputError, match="ClassMask: the target has 3 entries for 4 images"):
        check_images(ClassMask(jnp.zeros(3, int), jnp.ones((3, 4))), (0, None), 4)


def test_explain_refuses_both():
    model, x = smooth_network(), images(3)
    with pytest.raises(InputError, match=r"class 9 \(entry 1\)"):
        jaxplain.explain(model, x, Logit(np.array([0, 9, 1])), method="gradient")
    with pytest.raises(InputError, match="2 entries for 3 images"):
        jaxplain.explain(model, x, Logit(np.array([0, 1])), method="gradient")
