"""The two trained networks, and the images that are explained: Fashion-MNIST's small network, and ResNet-18 on shapes.

An image is taken if the network is right about it and if the probability of its label changes by at least 0.1 between
the baseline and the image: of a score that does not change there is nothing to share out, and a gap relative to the
change means nothing. What share of the unseen images that is stands in the record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from benchmarks import trained
from benchmarks.record import rounded
from examples.fashion_mnist import fetch, train
from examples.fashion_mnist.subjects import FashionMnist, classes, pixels
from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model
from jaxplain.models.small import SmallCNN, small_cnn_variables

LEAST_CHANGE = 0.1
DRAWN = 500
CACHE = Path(".cache") / "fashion_mnist_small_cnn.msgpack"


@dataclass(frozen=True)
class Subject:
    """A network, images of which it is right, and what they are compared with.

    Attributes:
        model: The network.
        images: ``(n, h, w, c)``.
        labels: ``(n,)``, the class that is explained.
        baseline: ``(h, w, c)``.
        known: What is known of the network, for the record.
    """

    model: Model
    images: jax.Array
    labels: jax.Array
    baseline: jax.Array
    known: dict[str, Any]

    def part(self, first: int, n: int) -> "Subject":
        """Return the same with n of the images."""
        rows = slice(first, first + n)
        return Subject(self.model, self.images[rows], self.labels[rows], self.baseline, self.known)


class NoImagesError(RuntimeError):
    """A data set cannot be had here."""


def chosen(model: Model, images: np.ndarray, labels: np.ndarray, fill: float, n: int, known: dict[str, Any]) -> Subject:
    """Return the first n images that can be explained, or all of them if they are fewer."""
    baseline = jnp.full(images.shape[1:], fill, jnp.float32)
    logits = np.asarray(jax.jit(model)(jnp.concatenate([baseline[None], jnp.asarray(images)])))
    probability = np.asarray(jax.nn.softmax(logits))
    change = np.abs(probability[1:][np.arange(len(labels)), labels] - probability[0, labels])
    fit = np.flatnonzero((logits[1:].argmax(axis=-1) == labels) & (change >= LEAST_CHANGE))
    known = known | {"weights": "trained", "share of images that change enough": rounded(len(fit) / len(labels))}
    rows = fit[:n]
    return Subject(model, jnp.asarray(images[rows]), jnp.asarray(labels[rows], jnp.int32), baseline, known)


def shapes_resnet18(n: int) -> Subject:
    """Return ResNet-18 at 64 x 64, trained on squares and triangles, with a middle gray for baseline."""
    model = trained.network()
    made = trained.shapes(DRAWN, trained.HELD_OUT)
    known = {"accuracy": rounded(trained.accuracy(model))}
    return chosen(model, trained.pixels(made.images), made.labels, 0.5, n, known)


def fashion_mnist(n: int) -> Subject:
    """Return the network of the demo on Fashion-MNIST, trained as there, with black for baseline.

    Raises:
        NoImagesError: The data cannot be had.
    """
    found = fetch.fetch()
    if found is None:
        raise NoImagesError("Fashion-MNIST is neither here nor can it be fetched; not measured.")
    subject = FashionMnist(found.folder)
    training, unseen = subject.splits()
    prepare = pixels(subject).from_arrays
    like = small_cnn_variables(training.images.shape[1:], classes=classes(subject))
    if CACHE.exists():
        variables = serialization.from_bytes(like, CACHE.read_bytes())
    else:
        variables = train.train(training, classes(subject), prepare, epochs=subject.epochs)
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        CACHE.write_bytes(serialization.to_bytes(variables))
    known = {"accuracy": rounded(train.accuracy(variables, unseen, prepare))}
    black = float(prepare(np.zeros_like(unseen.images[:1])).min())
    images, labels = prepare(unseen.images[:DRAWN]), unseen.labels[:DRAWN]
    return chosen(from_linen(SmallCNN(classes(subject)), variables), images, labels, black, n, known)


SUBJECTS: dict[str, Callable[[int], Subject]] = {"shapes_resnet18": shapes_resnet18, "fashion_mnist": fashion_mnist}
