"""Background sets in a job: a file of arrays, or a source of images."""

import json

import numpy as np
import pytest

import jaxplain as library
from tests.cli.conftest import refused


def setting(value, *changes):
    return [word for change in (f"methods.deep_shap.background={value}", *changes) for word in ("--set", change)]


def test_a_file_and_the_images_of_a_source_are_the_same_set(jaxplain, job):
    with np.load(job.parent / "images.npz") as arrays:
        np.save(job.parent / "set.npy", arrays["images"][:3] / np.float32(255))
    for output, value in (("file", "set.npy"), ("url", '{url = "npz://images.npz?images=images", limit = 3}')):
        answer = jaxplain("run", str(job), *setting(value, f"output={output}"))
        assert answer.code == 0, answer.err
    maps = [library.open(job.parent / output).maps("deep_shap")[:] for output in ("file", "url")]
    assert np.abs(maps[0]).max() > 0
    np.testing.assert_array_equal(*maps)
    manifest = json.loads((job.parent / "url" / "jaxplain.json").read_text())
    assert manifest["methods"]["deep_shap"]["background"]["images"] == 3


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("wide.npy", ["[methods.deep_shap] background: ", "(3, 5, 5, 1); expected finite images (n, 4, 4, 1)"]),
        ("one.npy", ["float32 of shape (4, 4, 1); expected finite images (n, 4, 4, 1), at least one"]),
        ("0", ["background = 0; write the path of a .npy file of images, or {url"]),
        ('{url = "npz://images.npz"}', ["background.limit = None; write how many of the first images"]),
        ('{url = "npz://images.npz", first = 3}', ["background: unknown key 'first'"]),
        ('{url = "npz://none.npz", limit = 3}', ["background: ", "none.npz: no such file"]),
    ],
)  # fmt: skip
def test_what_is_no_set_of_images_is_refused(jaxplain, job, value, parts):
    np.save(job.parent / "wide.npy", np.zeros((3, 5, 5, 1), np.float32))
    np.save(job.parent / "one.npy", np.zeros((4, 4, 1), np.float32))
    refused(jaxplain("run", str(job), *setting(value)), *parts)
