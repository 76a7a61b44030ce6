"""The benchmark of the speed rules, small: both forms are timed and give one map."""

import jax.numpy as jnp

from benchmarks.gradients import compare
from benchmarks.timing import INTERVAL
from jaxplain.models import small_cnn
from jaxplain.testing import tol
from jaxplain.testing.networks import images


def test_plain_and_rewritten_gradients_agree_and_their_ratio_is_of_pairs():
    found = compare(small_cnn((12, 10, 2)), jnp.asarray(images(2)), pairs=3)
    assert found["relative L2 difference"] < tol(jnp.float32, terms=100)["rtol"]
    plain, rewritten = (found[f"seconds, {form}"]["values"] for form in ("plain", "rewritten"))
    assert abs(found["ratio"]["values"][2] * rewritten[2] / plain[2] - 1) < 1e-3
    assert found["ratio"][INTERVAL] == [min(found["ratio"]["values"]), max(found["ratio"]["values"])]
