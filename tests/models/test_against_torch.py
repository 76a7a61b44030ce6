"""Convolutional networks against their PyTorch originals: weights through a file, logits, and layer by layer."""

import pytest

from tests.models.comparison import assert_same

pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet18", (64, 64, 3)),
        pytest.param("r3d_18", (4, 16, 24, 3), marks=pytest.mark.slow),
        pytest.param("resnet50", (64, 64, 3), marks=pytest.mark.slow),
        pytest.param("resnet50", (224, 224, 3), marks=pytest.mark.slow),
        pytest.param("resnet101", (64, 96, 3), marks=pytest.mark.slow),
        pytest.param("vgg16", (224, 224, 3), marks=pytest.mark.slow),
        pytest.param("vgg16_bn", (64, 96, 3), marks=pytest.mark.slow),
    ],
)
def test_the_network_computes_what_its_original_does(name, shape, tmp_path):
    assert_same(name, tmp_path, shape)
