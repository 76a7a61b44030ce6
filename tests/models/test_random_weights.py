"""Random weights: fixed by name and seed, of the stated laws, for every reference network."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.models import ARCHITECTURES, random_network
from jaxplain.models.checkpoint import tensor_shapes, tensors_from
from jaxplain.models.random_weights import random_tensors

SHAPES = {"conv1.weight": (64, 32, 3, 3), "bn1.running_var": (4000,), "fc.weight": (10, 512), "fc.bias": (10,)}


def test_a_tensor_depends_on_its_name_and_the_seed_alone():
    entry = ARCHITECTURES["resnet18"]
    one, fewer, other = (
        random_tensors(entry, shapes, seed)
        for shapes, seed in ((SHAPES, 0), ({"fc.bias": (10,)}, 0), ({"fc.bias": (10,)}, 1))
    )
    np.testing.assert_array_equal(one["fc.bias"], fewer["fc.bias"])
    assert not np.any(fewer["fc.bias"] == other["fc.bias"])
    words = np.random.PCG64([0, zlib.crc32(b"fc.bias")]).random_raw(5).view("<u4")
    np.testing.assert_allclose(one["fc.bias"], 0.2 * (words.astype(np.float64) / 2**31 - 1), rtol=1e-6, atol=1e-7)


def test_the_laws_are_those_of_the_module():
    """Of n uniform values, the variance is within 5 standard errors, sqrt(0.8 / n), but once in a million seeds."""
    tensors = random_tensors(ARCHITECTURES["resnet18"], SHAPES)
    for name, variance in (("conv1.weight", 2 / 288), ("fc.weight", 1 / 512), ("bn1.running_var", 0.5**2 / 3)):
        found = tensors[name]
        assert abs(found.var() / variance - 1) < 5 * np.sqrt(0.8 / found.size), name
        assert np.abs(found - found.mean()).max() < np.sqrt(3.1 * variance), name
    assert abs(tensors["bn1.running_var"].mean() - 1) < 5 * 0.5 / np.sqrt(3 * 4000)


def test_a_network_carries_them():
    model = random_network("resnet18", classes=3, seed=2)
    entry = ARCHITECTURES["resnet18"]
    want = random_tensors(entry, tensor_shapes(entry.variables(3)), 2)
    got = tensors_from(model.params)
    assert got.keys() == want.keys()
    np.testing.assert_array_equal(got["layer4.1.conv2.weight"], want["layer4.1.conv2.weight"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_entry_of_the_table_is_whole(name):
    """A last layer of that name, with one row per class; a preprocessing for every naming; names in every naming."""
    entry = ARCHITECTURES[name]
    variables = entry.variables(classes=7)
    shapes = tensor_shapes(variables)
    assert entry.name == name
    assert shapes[f"{entry.head}.weight"][0] == 7
    assert set(entry.namings) == set(entry.preprocessing)
    assert next(iter(entry.namings.values())).score(list(shapes), set(shapes)) == len(shapes)  # canonical names first
    assert entry.positions is None or entry.positions in shapes
    module, images = entry.module(7), jax.ShapeDtypeStruct((2, *entry.input_shape), jnp.float32)
    outputs = jax.eval_shape(module.apply, variables, images)
    assert outputs.shape[0] == 2 and outputs.shape[-1] == 7


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="unknown architecture 'vgg17'; did you mean 'vgg16'"):
        random_network("vgg17")
    with pytest.raises(InputError, match="seed must not be negative"):
        random_network("resnet18", seed=-1)
