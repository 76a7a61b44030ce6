"""Values of a game of eight, in float64, beside those of shap where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.methods import kernel_shap, partition_shap

shap = pytest.importorskip("shap")
pytestmark = pytest.mark.filterwarnings("ignore")  # shap's own, of NumPy and numba

N = 8
TABLE = np.random.default_rng(0).normal(size=2**N)
NUMBERS = 2 ** np.arange(N)
KNOWN = {"segments": np.arange(N), "baseline": 0.0}


def rows(coalitions):
    return TABLE[(np.asarray(coalitions) * NUMBERS).sum(1).astype(int)]


def score(x):
    return jnp.asarray(TABLE)[jnp.sum(x * jnp.asarray(NUMBERS, x.dtype)).astype(int)]


def test_a_tree_of_clusters_gives_the_values_of_the_partition_explainer(x64):
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    tree = hierarchy.linkage(np.random.default_rng(1).normal(size=(N, 2)), "average")
    explainer = shap.explainers.Partition(rows, shap.maskers.Partition(np.zeros((1, N)), clustering=tree))
    want = explainer(np.ones((1, N)), max_evals=100_000).values[0]
    merges = tuple(tree[:, :2].astype(int).ravel().tolist())
    got = partition_shap(score, jnp.ones(N), **KNOWN, merges=merges, n_evaluations=100_000)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_all_coalitions_give_the_values_of_the_kernel_explainer(x64):
    explainer = shap.KernelExplainer(rows, np.zeros((1, N)))
    want = explainer.shap_values(np.ones((1, N)), nsamples=2**N, l1_reg=0, silent=True)[0]
    got = kernel_shap(score, jnp.ones(N), key=jax.random.key(0), **KNOWN)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
