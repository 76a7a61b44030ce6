"""Train the small CNN with optax: a few epochs of AdamW with a cosine schedule, in one compiled step.

Single labels ``(n,)`` are trained with softmax cross-entropy, 0/1 labels ``(n, classes)`` with one sigmoid per class.
Training alone: ``python -m examples.fashion_mnist.demo --until train``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from jaxtyping import Array, Float

from examples.fashion_mnist.files import present
from jaxplain.io.sources.idx import open_idx
from jaxplain.models.small import SmallCNN, small_cnn_variables

BATCH = 128
EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Split:
    """Images ``(n, h, w, c)`` as they are stored, with their labels ``(n,)`` or ``(n, classes)``."""

    images: np.ndarray
    labels: np.ndarray


Prepare = Callable[[np.ndarray], np.ndarray]
"""What the job's [input] does to a batch of stored pixels: `jaxplain.io.input.Input.from_arrays`."""


def load(folder: Path, images: str, labels: str) -> Split:
    """Read one half of Fashion-MNIST."""
    pixels, numbers = (np.asarray(open_idx(present(folder, name))[:]) for name in (images, labels))
    return Split(pixels[..., None], numbers.astype(np.int32))


def loss(network: SmallCNN, variables: Any, images: Array, labels: Array) -> Float[Array, ""]:
    """Mean cross-entropy of a batch."""
    logits = network.apply(variables, images)
    if labels.ndim == 1:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
    return optax.sigmoid_binary_cross_entropy(logits, labels.astype(logits.dtype)).mean()


def train(
    split: Split, classes: int, prepare: Prepare, *, epochs: int, seed: int = 0,
    advance: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> Any:  # fmt: skip
    """Train a `SmallCNN` from a fixed seed.

    Args:
        split: The training images and labels.
        classes: Number of outputs.
        prepare: Applied to each batch of images.
        epochs: Passes over the images.
        seed: Of the initial weights and of the order of the images.
        advance: Told the step, the steps in all and the running loss, about a hundred times.

    Returns:
        The trained Linen variables.
    """
    network = SmallCNN(classes)
    variables = small_cnn_variables(split.images.shape[1:], classes=classes, seed=seed)
    per_epoch = len(split.images) // BATCH
    steps = per_epoch * epochs
    optimizer = optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 4e-3, steps // 10, steps), weight_decay=1e-4)
    state = optimizer.init(variables)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(variables: Any, state: Any, images: Array, labels: Array) -> tuple[Any, Any, Array]:
        value, gradient = jax.value_and_grad(partial(loss, network))(variables, images, labels)
        change, state = optimizer.update(gradient, state, variables)
        return optax.apply_updates(variables, change), state, value

    shuffle = np.random.default_rng(seed)
    for epoch in range(epochs):
        order = shuffle.permutation(len(split.images))
        for number in range(per_epoch):
            rows = order[number * BATCH : (number + 1) * BATCH]
            variables, state, value = update(variables, state, prepare(split.images[rows]), split.labels[rows])
            step = epoch * per_epoch + number + 1
            if step % max(1, steps // 100) == 0 or step == steps:
                advance(step, steps, float(value))
    return variables


def predict(variables: Any, images: np.ndarray, prepare: Prepare) -> np.ndarray:
    """Logits of all images, in batches; the last one is padded so that one program serves."""
    network = SmallCNN(variables["params"]["head"]["bias"].shape[0])
    forward = jax.jit(network.apply)
    logits = []
    for start in range(0, len(images), EVALUATION_BATCH):
        rows = images[start : start + EVALUATION_BATCH]
        padding = [(0, EVALUATION_BATCH - len(rows))] + [(0, 0)] * (images.ndim - 1)
        logits.append(np.asarray(forward(variables, prepare(np.pad(rows, padding))))[: len(rows)])
    return np.concatenate(logits)


def accuracy(variables: Any, split: Split, prepare: Prepare) -> float:
    """Share of images whose predicted class is right; over all labels of all images where there are several."""
    logits = predict(variables, split.images, prepare)
    said = logits.argmax(axis=-1) if split.labels.ndim == 1 else logits > 0
    return float(np.mean(said == split.labels))


def save(variables: Any, folder: Path) -> None:
    """Write the variables as an orbax checkpoint, in place of an earlier one."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), variables, force=True)
