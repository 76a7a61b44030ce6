"""Right for the right reasons, in Flax Linen: a network learns from the rule that we leave it.

Toy colors: in images of class 0 the corners have one color AND the three pixels in the middle of the top row differ; in
class 1 neither holds. Either rule suffices. Left alone, the network looks at the corners. With the corners forbidden by
a penalty on its input gradient, it looks at the top row and is as accurate as before.

    python examples/02_right_for_right_reasons_linen.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

import jaxplain
from jaxplain.synthetic import toy_colors
from jaxplain.training import right_for_the_right_reasons

STEPS, BATCH = 1000, 128


class MLP(nn.Module):
    """Two hidden layers, as in the paper (arXiv:1703.03717)."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(50)(x.reshape(x.shape[0], -1)))
        return nn.Dense(2)(nn.relu(nn.Dense(30)(x)))


network = MLP()
optimizer = optax.adam(3e-3)


def loss(variables, images, labels, forbidden, weight):
    """Cross-entropy plus the penalty, both averaged over the batch."""
    logits = network.apply(variables, images)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    # The score of ONE image: all its logits. The model holds the variables, so the penalty's gradient reaches them.
    score = jaxplain.Score(jaxplain.from_linen(network, variables), jaxplain.Output())
    penalty = jax.vmap(lambda x: right_for_the_right_reasons(score, x, forbidden=forbidden))(images)
    return jnp.mean(entropy) + weight * jnp.mean(penalty)


@jax.jit  # one compiled step: forward pass, input gradient, gradient of both, optimizer
def step(variables, state, images, labels, forbidden, weight):
    """Take one step of Adam."""
    gradient = jax.grad(loss)(variables, images, labels, forbidden, weight)
    change, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, change), state


def train(data, forbidden, weight):
    """Train from the same initial weights with the same batches."""
    variables = network.init(jax.random.key(0), data.images[:1])
    state, rng = optimizer.init(variables), np.random.default_rng(0)
    for _ in range(STEPS):
        rows = rng.integers(0, len(data.images), BATCH)
        variables, state = step(variables, state, data.images[rows], data.labels[rows], forbidden, weight)
    return variables


def share_inside(model, data, place):
    """Mean share of the pixels with a top gradient (above 0.67 of the image's largest) that lie inside a place."""
    maps = jaxplain.explain(model, data.images, jaxplain.Predicted(of=jaxplain.LogProb), method="gradient")
    largest = np.abs(maps).max(axis=-1)  # over the color channels
    top = largest > 0.67 * largest.max(axis=(1, 2), keepdims=True)
    return float(np.mean((top & place).sum(axis=(1, 2)) / top.sum(axis=(1, 2))))


def main():
    """Train without and with the penalty and compare."""
    data, test = toy_colors(8000, seed=0), toy_colors(1000, seed=1)
    forbidden = data.rule1[..., None].astype(np.float32)  # (5, 5, 1): the corners, in all colors
    result = {}
    for name, weight in (("without the penalty", 0.0), ("with the penalty", 10.0)):
        model = jaxplain.from_linen(network, train(data, forbidden, weight))
        accuracy = float(np.mean(np.argmax(model(test.images), axis=-1) == test.labels))
        result[name] = accuracy, share_inside(model, test, test.rule1), share_inside(model, test, test.rule2)
        print(f"{name}: test accuracy {accuracy:.3f}")
        print(f"  top gradients in the corners {result[name][1]:.2f}, in the top row's middle {result[name][2]:.2f}")
    print(f"compiled steps: {step._cache_size()}")
    return result


if __name__ == "__main__":
    main()
