"""Right for the right reasons, in Flax NNX: the same network and the same penalty as in example 02.

In images of class 0 the corners have one color AND the three pixels in the middle of the top row differ; in class 1
neither holds. Left alone, the network looks at the corners; forbidden to, it looks at the top row, and is as accurate.

    python examples/03_right_for_right_reasons_nnx.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jaxplain
from jaxplain.synthetic import toy_colors
from jaxplain.training import right_for_the_right_reasons

STEPS, BATCH = 1000, 128


class MLP(nnx.Module):
    """Two hidden layers, as in the paper (arXiv:1703.03717)."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(75, 50, rngs=rngs)
        self.second = nnx.Linear(50, 30, rngs=rngs)
        self.head = nnx.Linear(30, 2, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.first(x.reshape(x.shape[0], -1)))
        return self.head(nnx.relu(self.second(x)))


def loss(network, images, labels, forbidden, weight):
    """Cross-entropy plus the penalty, both averaged over the batch."""
    entropy = optax.softmax_cross_entropy_with_integer_labels(network(images), labels)
    # The score of ONE image: all its logits. The model holds the weights, so the penalty's gradient reaches them.
    score = jaxplain.Score(jaxplain.from_nnx(network), jaxplain.Output())
    penalty = jax.vmap(lambda x: right_for_the_right_reasons(score, x, forbidden=forbidden))(images)
    return jnp.mean(entropy) + weight * jnp.mean(penalty)


adam = optax.adam(3e-3)  # made once: every call of optax.adam is a new function, for which the step compiles anew
traces = []


@nnx.jit  # one compiled step: forward pass, input gradient, gradient of both, optimizer
def step(network, optimizer, images, labels, forbidden, weight):
    """Take one step of Adam; NNX updates network and optimizer in place."""
    traces.append("traced")  # Python runs this line only when the step is compiled
    optimizer.update(network, nnx.grad(loss)(network, images, labels, forbidden, weight))


def train(data, forbidden, weight):
    """Train from the same initial weights with the same batches."""
    network, rng = MLP(rngs=nnx.Rngs(0)), np.random.default_rng(0)
    optimizer = nnx.Optimizer(network, adam, wrt=nnx.Param)
    for _ in range(STEPS):
        rows = rng.integers(0, len(data.images), BATCH)
        step(network, optimizer, data.images[rows], data.labels[rows], forbidden, weight)
    return network


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
        model = jaxplain.from_nnx(train(data, forbidden, weight))
        accuracy = float(np.mean(np.argmax(model(test.images), axis=-1) == test.labels))
        result[name] = accuracy, share_inside(model, test, test.rule1), share_inside(model, test, test.rule2)
        print(f"{name}: test accuracy {accuracy:.3f}")
        print(f"  top gradients in the corners {result[name][1]:.2f}, in the top row's middle {result[name][2]:.2f}")
    print(f"compiled steps: {len(traces)}")
    return result


if __name__ == "__main__":
    main()
