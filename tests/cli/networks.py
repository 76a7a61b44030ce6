"""Networks that the jobs of these tests name."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

import jaxplain


def _linear(weights, x):
    return x.reshape(x.shape[0], -1) @ weights


def _fails_on_dark(weights, x):
    dark = jnp.max(x, axis=tuple(range(1, x.ndim))) < 0.01
    return jnp.where(dark[:, None], jnp.nan, _linear(weights, x))


def _mixes(weights, x):
    return _linear(weights, x) - jnp.mean(_linear(weights, x), axis=0, keepdims=True)


def _curved(weights, x):
    return jnp.tanh(_linear(weights, x))


def _endless(weights, x):
    turned = jax.lax.fori_loop(0, 40_000, lambda _, y: jnp.tanh(y @ y), jnp.full((128, 128), 0.01))
    return _linear(weights, x) + turned[0, 0]


def _weights(shape: Sequence[int], classes: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(int(np.prod(shape)), classes)).astype(np.float32)


def linear(shape: Sequence[int] = (4, 4, 1), classes: int = 3, scale: float = 1.0) -> jaxplain.Model:
    """Weights from a fixed seed."""
    return jaxplain.from_function(_linear, jnp.asarray(scale * _weights(shape, classes)))


def curved(shape: Sequence[int] = (4, 4, 1), classes: int = 3) -> jaxplain.Model:
    """Gradients that differ from place to place."""
    return jaxplain.from_function(_curved, jnp.asarray(_weights(shape, classes)))


def nan_on_dark(shape: Sequence[int] = (4, 4, 1), classes: int = 3) -> jaxplain.Model:
    """NaN outputs for images without light."""
    return jaxplain.from_function(_fails_on_dark, jnp.asarray(_weights(shape, classes)))


def endless(shape: Sequence[int] = (4, 4, 1), classes: int = 3) -> jaxplain.Model:
    """Ten seconds or more for every batch."""
    return jaxplain.from_function(_endless, jnp.asarray(_weights(shape, classes)))


def mixing(shape: Sequence[int] = (4, 4, 1), classes: int = 3) -> jaxplain.Model:
    """Outputs that depend on the rest of the batch."""
    return jaxplain.from_function(_mixes, jnp.asarray(_weights(shape, classes)))


class Net(nn.Module):
    """One convolution and one dense layer."""

    classes: int = 3

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.relu(nn.Conv(2, (3, 3), name="features")(x))
        return nn.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


def linen(classes: int = 3) -> Net:
    """A Linen module, which has no weights."""
    return Net(classes)


def nnx_linear(classes: int = 3) -> nnx.Module:
    """An NNX module."""

    class Flat(nnx.Module):
        def __init__(self):
            self.head = nnx.Linear(16, classes, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.head(x.reshape(x.shape[0], -1))

    return Flat()


def broken() -> None:
    """Fail."""
    raise RuntimeError("no such luck")


def number() -> int:
    """Return what is no network."""
    return 3
