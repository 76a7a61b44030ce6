"""Monte-Carlo dropout on a linear network, whose maps are its weights times the mask: laws of mean and deviation.

For f(x) = w . (m x / k) with a mask m that keeps each entry with probability k, the gradient is w m / k: its mean is w,
its standard deviation |w| sqrt((1 - k) / k). What is random below fails by chance with a probability of 1e-6 or less.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from scipy import stats

import jaxplain
from jaxplain import InputError, Logit, Predicted, Score, wrap
from jaxplain.testing import tol

KEY = jax.random.key(2)
SIZE, KEEP, N = 12, 0.75, 512
X = jnp.linspace(0.5, 1.5, SIZE)


class Linen(nn.Module):
    rate: float = 1 - KEEP

    @nn.compact
    def __call__(self, x, train: bool = False):
        return nn.Dense(3, name="head")(nn.Dropout(self.rate, deterministic=not train)(x))


class Nnx(nnx.Module):
    def __init__(self, rate, rngs):
        self.drop, self.head = nnx.Dropout(rate, rngs=rngs), nnx.Linear(SIZE, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.drop(x))


def linen(rate=1 - KEEP, seed=0):
    module = Linen(rate)
    variables = module.init(jax.random.key(seed), X[None])
    model = jaxplain.from_linen(module, variables, train=True, rngs={"dropout": jax.random.key(seed + 10)})
    return model, variables["params"]["head"]["kernel"]


def of_nnx(rate=1 - KEEP, seed=0):
    module = Nnx(rate, nnx.Rngs(seed))
    return jaxplain.from_nnx(module, dropout_key=jax.random.key(seed + 10)), module.head.kernel[...]


@pytest.mark.parametrize("network", [linen, of_nnx])
def test_mean_and_standard_deviation_follow_the_law_of_the_masks(network):
    """Every entry counts kept masks: binomial, two-sided over 12 entries; the deviation is a function of that count."""
    model, weights = network()
    w = np.asarray(weights[:, 1])
    mean, std = (
        np.asarray(wrap("dropout", "gradient", n_samples=N, statistic=word)(Score(model, Logit(1)), X, key=KEY))
        for word in ("mean", "std")
    )
    share = mean * KEEP / w
    counts = np.round(share * N)
    np.testing.assert_allclose(share * N, counts, atol=1e-2)
    low, high = stats.binom(N, KEEP).ppf([5e-7 / SIZE, 1 - 5e-7 / SIZE])
    assert (low <= counts).all() and (counts <= high).all() and len(set(counts)) > 1
    np.testing.assert_allclose(std, np.abs(w) / KEEP * np.sqrt(share * (1 - share)), **tol(np.float32, terms=N))


@pytest.mark.parametrize("network", [linen, of_nnx])
def test_a_rate_of_zero_has_no_deviation(network):
    model, weights = network(rate=0.0)
    f = Score(model, Logit(1))
    std = wrap("dropout", "gradient", n_samples=5, statistic="std")(f, X, key=KEY)
    np.testing.assert_allclose(std, 0, atol=float(jnp.abs(weights).max()) * 1e-6)
    mean = wrap("dropout", "gradient", n_samples=5)(f, X, key=KEY)
    np.testing.assert_allclose(mean, weights[:, 1], **tol(np.float32, terms=5))


@pytest.mark.parametrize("network", [linen, of_nnx])
def test_the_same_key_gives_the_same_maps_whatever_key_the_model_holds(network):
    explain = wrap("dropout", "input_x_gradient", n_samples=3)
    other = jax.tree.map(
        lambda leaf: jax.random.key(99) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf, network()[0]
    )
    want = explain(Score(network()[0], Logit(0)), X, key=KEY)
    np.testing.assert_array_equal(explain(Score(other, Logit(0)), X, key=KEY), want)
    assert np.abs(explain(Score(other, Logit(0)), X, key=jax.random.key(3)) - want).max() > 1e-3


def test_explaining_many_images_draws_for_each_by_its_id():
    model, _ = linen()
    x = np.stack([np.asarray(X)] * 5)
    knobs = {"method": wrap("dropout", "gradient", n_samples=4), "key": KEY}
    want = jaxplain.explain(model, x, Logit(1), **knobs)
    assert len({one.tobytes() for one in want}) == 5
    for batch, chunk in ((2, 1), (1, 3)):
        got = jaxplain.explain(model, x, Logit(1), batch=batch, chunk=chunk, **knobs)
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=4))
    shuffled = jaxplain.explain(model, x[::-1], Logit(1), ids=np.arange(5)[::-1], **knobs)
    np.testing.assert_allclose(shuffled[::-1], want, **tol(np.float32, terms=4))
    assert jaxplain.explain(model, x, Predicted(), precision="bf16", **knobs).shape == (5, SIZE)


@pytest.mark.parametrize("method", ["lrp", "occlusion", "smooth(gradient)"])
def test_other_methods_are_wrapped_as_well(method):
    """Each sample is the method's own map of a network with one mask, so the mean counts masks as a gradient does."""
    keywords = {
        "lrp": {"composite": "epsilon"},
        "occlusion": {"baseline": jnp.zeros(SIZE), "window": (1,), "stride": (1,)},
        "smooth(gradient)": {"smooth.n_samples": 2},
    }[method]
    model, weights = linen()
    mean = wrap("dropout", method, n_samples=N)(Score(model, Logit(1)), X, key=KEY, **keywords)
    scale = 1 if method.startswith("smooth") else X
    share = mean / (weights[:, 1] * scale) * KEEP
    low, high = stats.binom(N, KEEP).ppf([5e-7 / SIZE, 1 - 5e-7 / SIZE]) / N
    assert (low - 1e-3 <= share).all() and (share <= high + 1e-3).all()


def test_a_model_that_draws_nothing_is_refused():
    module = Linen()
    model = jaxplain.from_linen(module, module.init(jax.random.key(0), X[None]))
    with pytest.raises(InputError, match=r"dropout\(gradient\): the model holds no random key.*dropout_key"):
        wrap("dropout", "gradient")(Score(model, Logit(0)), X, key=KEY)


def test_an_nnx_module_draws_the_same_with_the_same_key_and_is_not_touched():
    module = Nnx(0.5, nnx.Rngs(0))
    counts = lambda: int(module.drop.rngs.count[...])  # noqa: E731
    before = counts()
    a, b = (jaxplain.from_nnx(module, dropout_key=jax.random.key(seed)) for seed in (1, 2))
    np.testing.assert_array_equal(a(X[None]), a(X[None]))
    assert np.abs(a(X[None]) - b(X[None])).max() > 1e-3
    assert counts() == before and a.apply == b.apply != jaxplain.from_nnx(module).apply
    with pytest.raises(InputError, match="key must be a typed key"):
        jaxplain.from_nnx(module, dropout_key=3)
