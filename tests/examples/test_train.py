"""The demo's training, on images that a brightness threshold separates."""

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from examples.fashion_mnist import train as training
from jaxplain.io.input import Input

pytestmark = pytest.mark.usefixtures("standard_promotion")


def split(several: bool, seed: int = 0) -> training.Split:
    """Bright left halves and bright right halves, among noise; as one class of two, or as two labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (512, 2))
    if not several:
        labels[:, 1] = 1 - labels[:, 0]
    images = rng.integers(0, 100, (512, 8, 8, 1))
    images[:, :, :4] += 100 * labels[:, 1, None, None, None]
    images[:, :, 4:] += 100 * labels[:, 0, None, None, None]
    chosen = labels.astype(np.uint8) if several else (labels[:, 0] == 0).astype(np.int32)
    return training.Split(images.astype(np.uint8), chosen)


@pytest.mark.parametrize("several", [False, True])
def test_it_learns_and_tells_how_far_it_is(several):
    told = []
    prepare = Input(divisor=255, mean=(0.3,), std=(0.25,)).from_arrays
    variables = training.train(split(several), 2, prepare, epochs=6, advance=lambda *step: told.append(step))
    # On 512 images of their own; guessing would come this far with a probability below exp(-2 * 512 * 0.4**2) = 1e-71.
    assert training.accuracy(variables, split(several, seed=1), prepare) > 0.9
    assert [step for step, _, _ in told] == list(range(1, 25)) and told[0][1] == 24
    assert told[-1][2] < told[0][2]


def test_a_checkpoint_holds_the_variables_and_replaces_an_earlier_one(tmp_path):
    for seed in (0, 1):
        variables = training.small_cnn_variables((8, 8, 1), classes=2, seed=seed)
        training.save(variables, tmp_path / "checkpoint")
    with ocp.StandardCheckpointer() as checkpointer:
        again = checkpointer.restore((tmp_path / "checkpoint").absolute(), jax.tree.map(np.asarray, variables))
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_prediction_covers_a_ragged_last_batch(monkeypatch):
    monkeypatch.setattr(training, "EVALUATION_BATCH", 5)
    variables = training.small_cnn_variables((8, 8, 1), classes=2)
    images = split(False).images[:12]
    prepare = Input(divisor=255, mean=(0.3,), std=(0.25,)).from_arrays
    want = training.SmallCNN(2).apply(variables, prepare(images))
    np.testing.assert_allclose(training.predict(variables, images, prepare), want, rtol=1e-4, atol=1e-5)
