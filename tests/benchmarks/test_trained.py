"""The network that benchmarks train: a few steps of it, and its cache."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import trained


@pytest.mark.slow
@pytest.mark.usefixtures("standard_promotion")
def test_training_lowers_the_loss_and_the_cache_gives_the_same_network(tmp_path):
    """From log 2; over eight steps of 8 images the mean of the last three is below that of the first three."""
    losses = []
    trained.train(8, batch=8, say=lambda step, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    cache = tmp_path / "network.msgpack"
    made, read = (trained.network(1, cache) for _ in range(2))
    images = jnp.asarray(trained.pixels(trained.shapes(2, 0).images))
    np.testing.assert_array_equal(made(images), read(images))
