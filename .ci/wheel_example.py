"""Run by wheel_test in the wheel's own environment: explain a small network, and see where the packages came from."""

import os

import jax
import jax.numpy as jnp

import jaxplain
import jaxplain_kernels

for package in (jaxplain, jaxplain_kernels):
    if package.__file__.startswith(os.environ["CHECKOUT"] + os.sep):
        raise SystemExit(f"{package.__name__} came from the checkout, not from the wheel: {package.__file__}")

images = jax.random.uniform(jax.random.key(0), (8, 6, 6, 1))
weights = jax.random.normal(jax.random.key(1), (36, 3))


def network(weights, batch):
    return batch.reshape(batch.shape[0], -1) @ weights


model = jaxplain.from_function(network, weights)
labels = jnp.arange(8) % 3
maps = jaxplain.explain(model, images, jaxplain.Logit(labels), method="gradient")
if not jnp.allclose(maps, weights.T[labels].reshape(maps.shape), atol=1e-6):
    raise SystemExit("the gradient of a linear network is not its weights")
