"""The benchmark of the shared affine prefix, small: it runs, and both forms give one map."""

import jax.numpy as jnp

from benchmarks.prefix import compare
from jaxplain.models import small_cnn
from jaxplain.testing import tol
from jaxplain.testing.networks import images


def test_the_forms_compared_give_the_same_maps():
    found = compare(small_cnn((12, 10, 2)), jnp.asarray(images(2)), n_steps=4, pairs=2)
    assert found["relative L2 difference"] < tol(jnp.float32, terms=100)["rtol"]
    assert 0 < found["share"]["median"] and len(found["gain"]["values"]) == 2
