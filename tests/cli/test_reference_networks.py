"""Jobs that load a reference network: its weights, and the preprocessing that they need."""

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import jaxplain as library
from jaxplain.models import ARCHITECTURES, Architecture, Preprocessing, SmallCNN, load
from jaxplain.models.checkpoint import tensors_from
from jaxplain.models.naming import Naming
from tests.cli.conftest import refused

JOB = """\
output = "store"
[model]
factory = "jaxplain.models:load"
kwargs = { name = "tiny", path = "weights.safetensors" }
[source]
url = "photos"
[methods.gradient]
[plan]
batch = 2
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Photographs of two sizes, weights, a job without ``[input]``, and the architecture that it names."""
    how = Preprocessing(resize=10, crop=8, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.1))
    entry = Architecture("tiny", SmallCNN, {"torchvision": Naming()}, {"torchvision": how}, (8, 8, 3), 3, "head")
    monkeypatch.setitem(ARCHITECTURES, "tiny", entry)
    save_file(tensors_from(library.models.random_network("tiny").params), tmp_path / "weights.safetensors")
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate([(12, 16, 3), (20, 14, 3), (12, 12, 3)]):
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path


def test_a_job_that_does_not_normalize_is_told_what_to_write(jaxplain, photos):
    changes = ["--set", "input.resize=10", "--set", "input.crop=8", "--set", "input.divisor=255"]
    wanted = ["mean and std", "[input]\nresize = 10\ncrop = 8", "mean = [0.5, 0.4, 0.3]\nstd = [0.25, 0.2, 0.1]"]
    refused(jaxplain("run", "job.toml", *changes), *wanted)


def test_a_job_that_says_so_explains_what_the_network_sees(jaxplain, photos):
    network, preprocessing = load("tiny", "weights.safetensors")
    (photos / "job.toml").write_text(JOB + preprocessing.lines())
    answer = jaxplain("run", "job.toml")
    assert answer.code == 0, answer.err
    images = np.stack([preprocessing(Image.open(photos / "photos" / f"{number}.png")) for number in range(3)])
    want = library.explain(network, images, library.Predicted(), method="gradient")
    got = np.asarray(library.open("store").maps("gradient"))
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-3 * np.abs(want).max())  # stored in float16


def test_a_weight_file_that_is_not_there_is_named(jaxplain, photos):
    (photos / "weights.safetensors").unlink()
    refused(jaxplain("run", "job.toml", "--set", "input.resize=8", "--set", "input.crop=8", "--set", "input.divisor=1"),
            "job.toml: model.factory jaxplain.models:load: load: ", "weights.safetensors does not exist")  # fmt: skip
