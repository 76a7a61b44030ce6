"""ResNets: the published sizes, names and shapes, and a numeric check against a plain NumPy stem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain.models import random_network, resnet18, resnet34, resnet50, resnet101
from jaxplain.testing import tol


@pytest.mark.parametrize(
    ("make", "parameters"),
    [(resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032), (resnet101, 44_549_160)],
)
def test_the_published_number_of_parameters(make, parameters):
    images = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    variables = jax.eval_shape(make().init, jax.random.key(0), images)
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables["params"])) == parameters
    assert jax.eval_shape(make().apply, variables, images).shape == (2, 1000)


def test_layers_have_the_published_names_and_shapes():
    shapes = {layer.path: layer.shape for layer in jaxplain.layers(random_network("resnet18"), images(64)[0])}
    assert shapes["conv1"] == (32, 32, 64)
    assert shapes["layer1/0/conv1"] == (16, 16, 64)
    assert shapes["layer2/0/downsample/0"] == (8, 8, 128)
    assert shapes["layer4"] == shapes["layer4/1"] == (2, 2, 512)
    assert shapes["fc"] == (1000,)


def test_the_stem_pads_both_sides_alike():
    """Against a loop in NumPy: a 7x7 convolution of stride 2 with three zeros on every side."""
    model, x = random_network("resnet18", classes=3), images(18)
    kernel = np.asarray(model.params["params"]["conv1"]["kernel"])
    _, activation = jaxplain.tap(lambda x: model(x[None])[0], "conv1")(jnp.asarray(x[0]))
    padded = np.pad(x[0], ((3, 3), (3, 3), (0, 0)))
    want = np.array(
        [
            [np.einsum("hwi,hwio->o", padded[2 * i : 2 * i + 7, 2 * j : 2 * j + 7], kernel) for j in range(9)]
            for i in range(9)
        ]
    )
    np.testing.assert_allclose(activation, want, **tol(np.float32, terms=147, scale=float(np.abs(want).max())))


def test_it_is_explained():
    model = random_network("resnet18", classes=3)
    maps = jaxplain.explain(model, images(32), jaxplain.Predicted(), method="grad_cam", layer="layer4")
    assert maps.shape == (2, 32, 32) and np.isfinite(maps).all()


def images(size):
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
