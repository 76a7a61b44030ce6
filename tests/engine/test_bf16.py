"""bf16: the network computes in bfloat16, everything around it in float32, and maps stay close to those of float32.

The error law: rounding to bfloat16 happens to weights, inputs, outputs and cotangents of each layer, independently. A
float32 network whose weights alone are rounded meets one of these four, so its maps are expected to be off by half as
much; three times that, six times the error by weights, is allowed. The law holds whatever a method makes of errors.
Occlusion and feature ablation subtract scores, each rounded once more as it leaves the network: by half a step of
2^-8 of its size.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain._registry import METHODS
from jaxplain.core.model import Model
from jaxplain.engine.precision import at_precision
from jaxplain.models import random_network
from jaxplain.testing import tol
from jaxplain.testing.architectures import RESNET, VIT
from jaxplain.testing.promises import example_keywords

FACTOR = 6
CLASSES = jaxplain.Logits(np.arange(4))
NETWORKS = {network.name: network for network in (RESNET, VIT)}
SELECTED = [("deeplift", "resnet"), ("gradient", "vit"), ("integrated_gradients", "resnet"), ("lrp", "vit")]


def applies(method: str, network: str) -> bool:
    """Whether a method is defined for a network, by what its notes ask for; its rules refuse LayerNorm in one case."""
    needs = {note.removeprefix("needs_") for note, holds in METHODS[method].notes.items() if holds and "needs_" in note}
    return needs <= NETWORKS[network].has and (method, network) != ("excitation_backprop", "vit")


CELLS = [(method, network) for network in NETWORKS for method in sorted(METHODS) if applies(method, network)]
OTHERS = sorted(set(CELLS) - set(SELECTED))


def keywords(method: str, images: np.ndarray) -> dict[str, Any]:
    given = example_keywords(METHODS[method], jnp.asarray(images[0]))
    return {name: value for name, value in given.items() if name != "key"}


def check(model: Model, images: np.ndarray, method: str, **given: Any) -> None:
    rounded = Model(jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(leaf.dtype), model.params), model.apply)

    def maps(model, precision):
        key = jax.random.key(0)
        found = jaxplain.explain(model, images, CLASSES, method=method, key=key, precision=precision, **given)
        assert found.dtype == np.float32
        return found.astype(np.float64)

    want, by_weights, got = maps(model, "fast"), maps(rounded, "fast"), maps(model, "bf16")
    off, allowed = np.linalg.norm(got - want), FACTOR * np.linalg.norm(by_weights - want)
    if method in ("occlusion", "feature_ablation"):
        allowed += np.sqrt(want.size) * 2 * 2**-9 * np.abs(np.asarray(model(images))).max()
    assert 0 < off <= allowed
    # Those that divide by what negative activations bring to zero know no accuracy on a ViT, with any rounding.
    assert allowed < np.linalg.norm(want) or method in ("grad_cam_pp", "smooth_grad_cam_pp", "xgrad_cam")


def check_cell(method: str, network: str) -> None:
    images = NETWORKS[network].images(4)
    check(NETWORKS[network].model("linen"), images, method, **keywords(method, images))


@pytest.mark.parametrize(("method", "network"), SELECTED)
def test_maps_are_as_close_as_rounding_allows(standard_promotion, method, network):
    """Flax's own LayerNorm mixes bfloat16 with float32 statistics, so strict promotion would refuse the network."""
    check_cell(method, network)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "network"), OTHERS)
def test_maps_of_all_other_cells_are_as_close_as_rounding_allows(standard_promotion, method, network):
    check_cell(method, network)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradient", "lrp", "deeplift", "smoothgrad"])
def test_rules_work_on_a_resnet(standard_promotion, method):
    model = random_network("resnet18", classes=10)
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    check(model, images, method, **keywords(method, images))


def _dense(weights, batch):
    return batch.reshape(len(batch), -1) @ weights


def _convolved(weights, batch):
    return jax.lax.conv(batch.transpose(0, 3, 1, 2), weights, (1, 1), "VALID").reshape(len(batch), -1)


@pytest.mark.parametrize(("apply", "shape"), [(_dense, (4096, 2)), (_convolved, (2, 4, 32, 32))])
def test_products_are_summed_in_float32(apply, shape):
    """A sum of ones in bfloat16 ends at 256, where one more is less than half a step; 4096 itself is a bfloat16."""
    model, _ = at_precision(Model(jnp.ones(shape), apply), "bf16")
    images = np.ones((3, 32, 32, 4), np.float32)
    np.testing.assert_array_equal(jax.jit(model)(images), 4096)

    def total(x):
        return model(x).sum()

    backward = jax.jit(jax.grad(total))(jnp.asarray(images))
    assert backward.dtype == np.float32
    np.testing.assert_array_equal(backward, 2)


@pytest.mark.parametrize(
    ("name", "given", "power"),
    [
        ("smoothgrad", {"n_samples": 1000}, 1),
        ("smoothgrad_squared", {"n_samples": 1000}, 2),
        ("integrated_gradients", {"n_steps": 1000, "baseline": 0.0, "rule": "trapezoid"}, 1),
    ],
)
def test_samples_and_steps_are_summed_in_float32(name, given, power):
    """The gradient of a linear network, bfloat16 without loss, is the same in every sample, and so their mean."""
    weights = np.array([[1.5, 0.0078125, -3.0, 1.0078125]], np.float32).T
    images = np.ones((2, 4), np.float32)
    found = jaxplain.explain(
        Model(jnp.asarray(weights), _dense),
        images,
        jaxplain.Logit(0),
        method=name,
        key=jax.random.key(0),
        precision="bf16",
        **given,
    )
    np.testing.assert_allclose(found, np.tile(weights.T**power, (2, 1)), **tol(np.float32, terms=1000))
