"""SmoothDiff beside SmoothGrad: agreement with a SmoothGrad of 4,096 samples, and cost.

    python -m benchmarks.smoothdiff [--networks trained resnet18] [--reference 4096] [--repeats 5]

A small network that is trained on the spot (generated 24 x 24 images, three discs; its accuracy is reported) and
ResNet-18 with random weights at 64 x 64; float32, the noise of the methods' default, the logit that the network ranks
highest. All methods run compiled, with the engine's faster gradients, in turn and with new keys in every repeat.
Figures are medians over repeats and images: cosine and relative L2 distance to the reference, seconds per image,
forward and backward passes per image. The reference has an error of its own, the standard error in the table's head:
no estimate of another key comes closer than that.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.record import facts, keep, spread
from benchmarks.timing import interleaved
from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.methods.gradient import gradient
from jaxplain.methods.smoothdiff import smoothdiff
from jaxplain.methods.smoothgrad import smoothgrad, smoothgrad_with_diagnostics
from jaxplain.models import SmallCNN, random_network, small_cnn_variables
from jaxplain.synthetic import aligned

Maps = Callable[[Model, jax.Array, jax.Array, jax.Array], Any]
SAMPLES = (16, 64)


@dataclass(frozen=True)
class Network:
    """A network, images for it, and what is known of it."""

    model: Model
    images: np.ndarray
    known: dict[str, Any]


def trained(n_images: int = 8, *, n_train: int = 2000, n_steps: int = 400) -> Network:
    """Train the small network to tell which discs are lit."""
    train, test = aligned(n_train, seed=0, strength=1.5), aligned(max(n_images, 500), seed=1, strength=1.5)
    network, optimizer = SmallCNN(classes=3), optax.adam(3e-3)
    variables = small_cnn_variables((24, 24, 1), classes=3)

    def loss(variables: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(network.apply(variables, images), labels))

    @jax.jit
    def step(variables: Any, state: Any, images: jax.Array, labels: jax.Array) -> Any:
        changes, state = optimizer.update(jax.grad(loss)(variables, images, labels), state)
        return optax.apply_updates(variables, changes), state

    state, rng = optimizer.init(variables), np.random.default_rng(0)
    labels = train.labels.astype(np.float32)
    for _ in range(n_steps):
        rows = rng.integers(0, n_train, 128)
        variables, state = step(variables, state, train.images[rows], labels[rows])
    model = from_linen(network, variables)
    right = (np.asarray(model(jnp.asarray(test.images))) > 0) == test.labels.astype(bool)
    return Network(model, test.images[:n_images], {"weights": "trained", "accuracy": round(float(right.mean()), 4)})


def random_resnet18(n_images: int = 1, *, size: int = 64) -> Network:
    """Make ResNet-18 with random weights and images of smooth noise, for which its logits differ."""
    coarse = np.random.default_rng(0).normal(size=(n_images, size // 8, size // 8, 3))
    images = np.asarray(jax.image.resize(jnp.asarray(coarse, jnp.float32), (n_images, size, size, 3), "bilinear"))
    return Network(random_network("resnet18"), images, {"weights": "random"})


NETWORKS: dict[str, Callable[[], Network]] = {"trained": trained, "resnet18": random_resnet18}


def methods() -> dict[str, tuple[Maps, int, int]]:
    """Return the compared methods with the forward and backward passes that each takes."""
    found: dict[str, tuple[Maps, int, int]] = {"gradient": (batched(lambda f, x, key: gradient(f, x)), 1, 1)}
    for n in SAMPLES:
        found[f"smoothgrad, {n}"] = (batched(lambda f, x, key, n=n: smoothgrad(f, x, key=key, n_samples=n)), n, n)
    for n in SAMPLES:
        found[f"smoothdiff, {n}"] = (batched(lambda f, x, key, n=n: smoothdiff(f, x, key=key, n_samples=n)), n + 1, 1)
    return found


def batched(explain: Callable[..., Any]) -> Maps:
    """Return the compiled program that explains one logit of every image, each with a key of its own."""

    @jax.jit
    def run(model: Model, images: jax.Array, logits: jax.Array, key: jax.Array) -> Any:
        def one(x: jax.Array, logit: jax.Array, key: jax.Array) -> Any:
            return explain(with_fast_gradients(Score(model, Logit(logit))), x, key)

        return jax.vmap(one)(images, logits, jax.random.split(key, len(images)))

    return run


def compare(network: Network, *, n_reference: int, repeats: int) -> dict[str, Any]:
    """Run all methods in turn and compare their maps with the reference."""
    images = jnp.asarray(network.images)
    logits = jnp.argmax(network.model(images), axis=-1)
    began = time.perf_counter()
    diagnosed = batched(lambda f, x, key: smoothgrad_with_diagnostics(f, x, key=key, n_samples=n_reference))
    wanted, figures = jax.tree.map(np.asarray, diagnosed(network.model, images, logits, jax.random.key(0)))
    seconds = time.perf_counter() - began
    compared = methods()
    made: dict[str, list[np.ndarray]] = {name: [] for name in compared}

    def once(name: str) -> None:
        key = jax.random.key(len(made[name]))
        made[name].append(np.asarray(compared[name][0](network.model, images, logits, key)))

    timings = interleaved({name: partial(once, name) for name in compared}, repeats)
    found: dict[str, dict[str, list[float]]] = {}
    for name, repeated in made.items():
        maps = [pair for round_ in repeated[1:] for pair in zip(round_, wanted, strict=True)]
        found[name] = {
            "seconds": [seconds / len(images) for seconds in timings.seconds[name]],
            "cosine": [cosine(got, want) for got, want in maps],
            "distance": [float(np.linalg.norm(got - want) / np.linalg.norm(want)) for got, want in maps],
        }
    return {
        **network.known,
        "shape": list(images.shape),
        "reference": {
            "samples": n_reference,
            "standard error": round(float(np.median(figures["stderr"])), 4),
            "seconds per image, with compilation": round(seconds / len(images), 2),
        },
        "methods": {
            name: {figure: spread(values) for figure, values in found[name].items()}
            | {"forward passes": forward, "backward passes": backward}
            for name, (_, forward, backward) in compared.items()
        },
    }


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of the angle between two maps."""
    return float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def run(names: list[str], *, n_reference: int, repeats: int) -> dict[str, Any]:
    """Measure the named networks."""
    began = time.perf_counter()
    measured = {name: compare(NETWORKS[name](), n_reference=n_reference, repeats=repeats) for name in names}
    return {"networks": measured, "seconds": round(time.perf_counter() - began, 1), **facts()}


def table(name: str, row: dict[str, Any]) -> str:
    """Return one network's figures as a table."""
    reference = row["reference"]
    lines = [
        f"{name} {row['shape']}, {row['weights']} weights; reference: SmoothGrad, {reference['samples']} samples, "
        f"standard error {reference['standard error']:.3f}",
        f"{'method':16} {'cosine':>7} {'rel. L2':>8} {'s/image':>9} {'forward':>8} {'backward':>9}",
    ]
    for method, found in row["methods"].items():
        medians = [found[figure]["median"] for figure in ("cosine", "distance", "seconds")]
        lines.append(
            f"{method:16} {medians[0]:7.3f} {medians[1]:8.3f} {medians[2]:9.4f} {found['forward passes']:8d} "
            f"{found['backward passes']:9d}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--reference", type=int, default=4096, help="samples of the reference (default 4096)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of every method (default 5)")
    chosen = parser.parse_args()
    found = run(chosen.networks, n_reference=chosen.reference, repeats=chosen.repeats)
    for name, row in found["networks"].items():
        print(table(name, row), end="\n\n")
    print(f"{found['seconds']} s; written to {keep('smoothdiff', found)}")


if __name__ == "__main__":
    main()
