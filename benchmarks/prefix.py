"""Integrated gradients with a shared affine prefix against the same without: ResNets and a small network, float32.

    python -m benchmarks.prefix [--steps 32] [--networks small_cnn resnet18 resnet50] [--pairs 12]

Both programs have the engine's faster gradients. They run in turn in one process; a pair's ratio is the plain time over
the shared one. Beside it stands the stem's share of a gradient, measured alone (its value and its pull-back against
the whole gradient, in the same loop over steps), and the ceiling 1 / (1 - share) that sharing cannot pass.

The maps of ResNet-50 differ by about 1e-3: rounding turns ReLUs over, in either form. In float64 they agree to 3e-16,
and from the float64 map the plain form is 1.7e-3 away, the shared one 2.2e-3 (8 steps).
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.record import facts, keep
from benchmarks.timing import cell, interleaved
from jaxplain.core.gradient import input_gradient
from jaxplain.core.model import Model
from jaxplain.core.sampling import reduce_over, total
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.graph.prefix import affine_prefix
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.methods.integrated_gradients import integrated_gradients
from jaxplain.models import random_network, small_cnn

Batched = Callable[[Model, jax.Array], jax.Array]
# Network, shape of an example, images in a batch, pairs.
NETWORKS: dict[str, tuple[Callable[[], Model], tuple[int, ...], int, int]] = {
    "small_cnn": (lambda: small_cnn((28, 28, 1)), (28, 28, 1), 128, 40),
    "resnet18": (lambda: random_network("resnet18"), (224, 224, 3), 1, 12),
    "resnet50": (lambda: random_network("resnet50"), (224, 224, 3), 1, 12),
}


def batched(explain: Callable[[Any, jax.Array], jax.Array]) -> Batched:
    """Return the compiled map of the first logit at every image, with the engine's faster gradients."""

    @jax.jit
    def run(model: Model, x: jax.Array) -> jax.Array:
        return jax.vmap(lambda one: explain(with_fast_gradients(Score(model, Logit(0))), one))(x)

    return run


def programs(n_steps: int) -> dict[str, Batched]:
    """Return the two forms of the method, and the gradients and the stems of as many steps."""

    def method(implementation: str) -> Batched:
        return batched(
            lambda f, x: integrated_gradients(
                f, x, baseline=jnp.zeros_like(x), n_steps=n_steps, implementation=implementation
            )
        )

    def gradients(f: Any, x: jax.Array) -> jax.Array:
        gradient = input_gradient(f)
        return reduce_over(lambda i: gradient(x * (i + 1).astype(x.dtype)), n_steps, total)

    def stems(f: Any, x: jax.Array) -> jax.Array:
        parts = affine_prefix(f, x)

        def there_and_back(i: jax.Array) -> jax.Array:
            point = x * (i + 1).astype(x.dtype)
            return parts.pull(point, parts.prefix(point))

        return reduce_over(there_and_back, n_steps, total)

    return {
        "plain": method("plain"),
        "shared": method("shared"),
        "gradients": batched(gradients),
        "stems": batched(stems),
    }


def compare(model: Model, x: jax.Array, *, n_steps: int, pairs: int) -> dict[str, Any]:
    """Run all programs in turn."""
    runs = {name: partial(run, model, x) for name, run in programs(n_steps).items()}
    maps = {name: np.asarray(run()) for name, run in runs.items()}
    timings = interleaved(runs, pairs)
    share = timings.ratio("stems", "gradients")
    difference = np.linalg.norm(maps["shared"] - maps["plain"]) / np.linalg.norm(maps["plain"])
    return {
        "gain": timings.ratio("plain", "shared"),
        "share": share,
        "ceiling": round(1 / (1 - share["median"]), 4),
        **{f"seconds, {name}": figures for name, figures in timings.record().items()},
        "relative L2 difference": float(difference),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--pairs", type=int, help="for all networks; by default as the table of networks says")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    chosen = parser.parse_args()
    found: dict[str, Any] = {"steps": chosen.steps, **facts()}
    for name in chosen.networks:
        make, shape, batch, pairs = NETWORKS[name]
        x = jnp.asarray(np.random.default_rng(0).normal(size=(batch, *shape)), jnp.float32)
        row = found[name] = compare(make(), x, n_steps=chosen.steps, pairs=chosen.pairs or pairs) | {
            "shape": [batch, *shape]
        }
        print(
            f"{name}: {cell(row['gain'])} x, ceiling {row['ceiling']:.3f} x, "
            f"plain {row['seconds, plain']['median']:.3f} s, shared {row['seconds, shared']['median']:.3f} s, "
            f"maps differ by {row['relative L2 difference']:.1e}",
            flush=True,
        )
    print(f"written to {keep('prefix', found)}")


if __name__ == "__main__":
    main()
