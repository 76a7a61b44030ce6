"""Gradients rewritten for speed against plain ``jax.grad``: ResNets with random weights, float32.

    python -m benchmarks.gradients [--batch 8] [--size 224] [--pairs 40] [--networks resnet18 resnet50]

Both programs are compiled once and run in turn in one process; a pair's ratio is the plain time over the rewritten one.
Medians with a 95 % interval of the median from order statistics; the maps are compared beside the speed.

Aims at 224 x 224: at least 1.2 x for ResNet-18 and 1.4 x for ResNet-50, counted as met when the interval reaches them.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binom

from benchmarks.record import facts, keep, spread
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.models import random_resnet, resnet18, resnet50

NETWORKS = {"resnet18": (resnet18, 1.2), "resnet50": (resnet50, 1.4)}


def gradient(rewrite: Callable[[Any], Any]) -> Callable[[Model, jax.Array], jax.Array]:
    """Return the compiled gradient of the first logit at every image."""

    @jax.jit
    def run(model: Model, x: jax.Array) -> jax.Array:
        return jax.vmap(jax.grad(rewrite(Score(model, Logit(0)))))(x)

    return run


def interval_of_median(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """Return the order statistics that hold the median with at least this probability."""
    ordered, n = sorted(values), len(values)
    low = int(binom.ppf((1 - level) / 2, n, 0.5))
    return ordered[max(low - 1, 0)], ordered[min(n - low, n - 1)]


def compare(model: Model, x: jax.Array, pairs: int) -> dict[str, Any]:
    """Run both gradients in turn."""
    plain, fast = gradient(lambda f: f), gradient(with_fast_gradients)
    want, got = (np.asarray(run(model, x)) for run in (plain, fast))
    times: dict[str, list[float]] = {"plain": [], "rewritten": []}
    for _ in range(pairs):
        for name, run in (("plain", plain), ("rewritten", fast)):
            began = time.perf_counter()
            run(model, x).block_until_ready()
            times[name].append(time.perf_counter() - began)
    ratios = [one / other for one, other in zip(times["plain"], times["rewritten"], strict=True)]
    low, high = interval_of_median(ratios)
    return {
        "ratio": spread(ratios) | {"interval of the median": [round(low, 4), round(high, 4)]},
        "seconds, plain": spread(times["plain"]),
        "seconds, rewritten": spread(times["rewritten"]),
        "relative L2 difference": float(np.linalg.norm(got - want) / np.linalg.norm(want)),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    chosen = parser.parse_args()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(chosen.batch, chosen.size, chosen.size, 3)), jnp.float32)
    found: dict[str, Any] = {"batch": chosen.batch, "size": chosen.size, **facts()}
    for name in chosen.networks:
        make, aim = NETWORKS[name]
        row = found[name] = compare(random_resnet(make(), size=chosen.size), x, chosen.pairs)
        low, high = row["ratio"]["interval of the median"]
        plain, rewritten = (row[f"seconds, {kind}"]["median"] for kind in ("plain", "rewritten"))
        print(
            f"{name}: {row['ratio']['median']:.2f} x [{low:.2f}, {high:.2f}], plain {plain:.3f} s, rewritten "
            f"{rewritten:.3f} s, maps differ by {row['relative L2 difference']:.1e}; "
            f"aim {aim} x {'met' if high >= aim else 'MISSED'}"
        )
    print(f"written to {keep('gradients', found)}")


if __name__ == "__main__":
    main()
