"""The small network: one function in two frameworks, the same for the same seed."""

import jax
import numpy as np
import pytest
from flax import nnx

from jaxplain.models.small import NNXSmallCNN, SmallCNN, nnx_twin, small_cnn, small_cnn_variables
from jaxplain.testing.tolerance import tol


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 7, 2)])
def test_the_twin_has_the_logits_of_the_linen_network(shape):
    variables = small_cnn_variables(shape, classes=4)
    images = jax.random.normal(jax.random.key(1), (3, *shape))
    want = SmallCNN(4).apply(variables, images)
    got = nnx_twin(variables, shape)(images)
    np.testing.assert_allclose(got, want, **tol(want.dtype, terms=shape[0] * shape[1] * 32))


def test_a_seed_fixes_the_weights():
    one, same, other = (small_cnn_variables((8, 8, 1), seed=seed) for seed in (0, 0, 1))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, same))
    assert not jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one, other))


def test_the_last_convolution_keeps_a_quarter_of_the_resolution():
    network = NNXSmallCNN((28, 28, 1), rngs=nnx.Rngs(0))
    assert network.head.kernel.shape == (7 * 7 * 32, 10)


def test_the_factory_gives_equal_models_for_equal_arguments():
    one, same = small_cnn([8, 8, 1], classes=3), small_cnn((8, 8, 1), classes=3)
    assert one.apply == same.apply
    assert one(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 3)
