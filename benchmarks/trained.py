"""A ResNet-18 trained here, in minutes on two cores: to tell squares from triangles of 64 x 64 pixels.

    python -m benchmarks.trained [--steps 450] [--cache FILE]

The architecture is that of ``jaxplain.models``, whose normalization is an affine map of running statistics. In training
each batch's own statistics stand in for them, written where the running ones are kept; the last ones are measured on
512 images. Images are fresh in every step, of contrast 0.1 at least, and lie away from the middle; gray values 0 to 1
are repeated to three channels. Contrast and size are on record beside each image (``jaxplain.synthetic.shapes``).
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization

from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model
from jaxplain.models.resnet import resnet18
from jaxplain.synthetic import Shapes, triangles_and_squares

SIZE, CLASSES, BATCH = 64, 2, 32
STATISTICS = 512
HELD_OUT = 2**31
"""Number of the first image that is never trained on."""
CACHE = Path(".cache") / "shapes_resnet18.msgpack"


def shapes(n: int, first: int) -> Shapes:
    """Return images with these numbers."""
    return triangles_and_squares(n, seed=0, first=first, size=SIZE, contrast=(0.1, 1.0), offset=1.0)


def pixels(images: np.ndarray) -> np.ndarray:
    """Return gray images as the network takes them."""
    return np.repeat(images, 3, axis=-1)


def in_training(call: Callable[..., Any], arguments: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
    """Normalize by the batch's own statistics, and keep them as the running ones; convolve by matrix products."""
    module = context.module
    if isinstance(module, nn.BatchNorm):
        (x,) = arguments
        for name, value in (("mean", jnp.mean(x, axis=(0, 1, 2))), ("var", jnp.var(x, axis=(0, 1, 2)))):
            module.put_variable("batch_stats", name, value)
    if isinstance(module, nn.Conv):
        return as_product(*arguments, module.get_variable("params", "kernel"), np.max(module.strides))
    return call(*arguments, **keywords)


def as_product(x: Any, kernel: Any, stride: int) -> Any:
    """Convolve by one matrix product, whose derivatives are two more: XLA's own for weights are slow on CPUs.

    Kernels of a ResNet are square and odd, with half a kernel of padding.
    """
    size = kernel.shape[0]
    n = (x.shape[1] - 1) // stride + 1
    x = jnp.pad(x, [(0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    last = (n - 1) * stride + 1
    shifted = [x[:, i : i + last : stride, j : j + last : stride] for i in range(size) for j in range(size)]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def train(steps: int, *, batch: int = BATCH, say: Callable[[int, float], None] = lambda step, loss: None) -> Any:
    """Return the variables of the trained network; the same on every run on one kind of device.

    Args:
        steps: Updates by AdamW with a cosine schedule.
        batch: Images in each.
        say: Told the step and its loss.
    """
    network = resnet18(classes=CLASSES)
    variables = network.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    params, rest = variables["params"], {name: part for name, part in variables.items() if name != "params"}
    optimizer = optax.adamw(
        optax.warmup_cosine_decay_schedule(0.0, 1e-3, steps // 10 + 1, steps + 2), weight_decay=1e-3
    )
    state = optimizer.init(params)

    def apply(params: Any, images: Any) -> Any:
        with nn.intercept_methods(in_training):
            return network.apply({"params": params, **rest}, images, mutable=["batch_stats"])

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(params: Any, state: Any, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        def loss(params: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(apply(params, images)[0], labels).mean()

        value, gradient = jax.value_and_grad(loss)(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    for step in range(steps):
        drawn = shapes(batch, step * batch)
        params, state, value = update(params, state, pixels(drawn.images), drawn.labels)
        say(step + 1, float(value))
    _, statistics = jax.jit(apply)(params, pixels(shapes(max(batch, STATISTICS if steps > 10 else 0), 0).images))
    return {"params": params, **rest, **statistics}


def network(steps: int = 450, cache: Path | None = CACHE) -> Model:
    """Return the trained network, from the cache where it is there."""
    module = resnet18(classes=CLASSES)
    if cache is not None and cache.exists():
        like = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
        return from_linen(
            module,
            serialization.from_bytes(jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), like), cache.read_bytes()),
        )
    variables = train(steps)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(serialization.to_bytes(variables))
    return from_linen(module, variables)


def accuracy(model: Model, n: int = 1000) -> float:
    """Return the share of unseen images that are told right."""
    made, forward = shapes(n, HELD_OUT), jax.jit(model)
    found = [np.argmax(forward(pixels(made.images[start : start + 100])), -1) for start in range(0, n, 100)]
    return float(np.mean(np.concatenate(found) == made.labels))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, keep and judge the network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trained", description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    model = network(options.steps, options.cache)
    seconds = time.perf_counter() - start
    print(f"ready after {seconds:.0f} s; {100 * accuracy(model):.1f} % of unseen images right; kept in {options.cache}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
