"""Logits recorded from the PyTorch originals: the numbers hold without PyTorch."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxplain.models import random_network
from tests.models.comparison import a_few, images

FOLDER = Path(__file__).with_name("golden")
HEAVY = {"vgg16", "vgg16_bn", "resnet101", "resnet50", "resnet34", "vit_b_16", "unet_3d"}
"""Networks whose weights or compilation take seconds."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(file.stem, marks=[pytest.mark.slow] if file.stem in HEAVY else [])
        for file in sorted(FOLDER.glob("*.json"))
    ],
)
def test_the_logits_are_those_of_the_original(name):
    """``python -m tests.models.record_golden`` wrote them."""
    recorded = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    shape, want = tuple(recorded["shape"]), np.array(recorded["logits"])
    model = random_network(name, classes=want.shape[-1], input_shape=shape)
    np.testing.assert_allclose(a_few(jax.jit(model)(images(shape))), want, rtol=1e-4, atol=1e-4)
