"""ViT, ConvNeXt and U-Net against their PyTorch originals: weights through a file, logits, and layer by layer."""

from functools import partial
from importlib import import_module

import pytest

from jaxplain.models import ARCHITECTURES
from tests.models.comparison import assert_same
from tests.models.families import SMALL

pytest.importorskip("torch")

# The class of the original, and its arguments for the small network.
ORIGINALS = {
    "vit_s_16": ("vit", "VisionTransformer", {"width": 12, "heads": 3, "depth": 2, "size": 48}),
    "convnext_tiny": ("convnext", "ConvNeXt", {"n_blocks": (1, 2), "widths": (8, 12)}),
    "unet_2d": ("unet", "UNet", {"dims": 2, "features": 2}),
    "unet_3d": ("unet", "UNet", {"dims": 3, "features": 2, "channels": 1}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "unet_2d" else []) for name in ORIGINALS]
)
def test_a_small_network_of_the_family_computes_what_its_original_does(name, tmp_path, monkeypatch):
    family, original, keywords = ORIGINALS[name]
    networks = import_module(f"benchmarks.against.networks.{family}")
    monkeypatch.setitem(ARCHITECTURES, "small", SMALL[name])
    monkeypatch.setattr(networks, "small", partial(getattr(networks, original), **keywords), raising=False)
    assert_same("small", tmp_path, SMALL[name].input_shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape", "keywords"),
    [
        ("vit_b_16", (224, 224, 3), {}),
        ("vit_s_16", (224, 224, 3), {}),
        ("deit_s_16", (96, 96, 3), {"size": 96}),
        ("deit_t_16", (224, 224, 3), {}),
        ("convnext_tiny", (224, 224, 3), {}),
        ("unet_2d", (128, 96, 3), {}),
        ("unet_3d", (16, 32, 48, 1), {}),
    ],
)
def test_the_network_computes_what_its_original_does(name, shape, keywords, tmp_path):
    assert_same(name, tmp_path, shape, **keywords)
