"""Gradients rewritten for speed against plain ``jax.grad``: ResNets with random weights, float32.

    python -m benchmarks.gradients [--batch 8] [--size 224] [--pairs 40] [--networks resnet18 resnet50]

Both programs are compiled once and run in turn in one process; a pair's ratio is the plain time over the rewritten one.
Medians with a 95 % interval of the median from order statistics; the maps are compared beside the speed.

Aims at 224 x 224: at least 1.2 x for ResNet-18 and 1.4 x for ResNet-50, counted as met when the interval reaches them.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.record import facts, keep
from benchmarks.timing import PAIRS, cell, interleaved, verdict
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.models import random_network

AIMS = {"resnet18": 1.2, "resnet50": 1.4}


def gradient(rewrite: Callable[[Any], Any]) -> Callable[[Model, jax.Array], jax.Array]:
    """Return the compiled gradient of the first logit at every image."""

    @jax.jit
    def run(model: Model, x: jax.Array) -> jax.Array:
        return jax.vmap(jax.grad(rewrite(Score(model, Logit(0)))))(x)

    return run


def compare(model: Model, x: jax.Array, pairs: int) -> dict[str, Any]:
    """Run both gradients in turn."""
    runs = {
        "plain": partial(gradient(lambda f: f), model, x),
        "rewritten": partial(gradient(with_fast_gradients), model, x),
    }
    return beside(runs, pairs)


def beside(runs: Mapping[str, Callable[[], Any]], pairs: int) -> dict[str, Any]:
    """Run two programs in turn; return the first one's time over the second's, and how far their results differ."""
    want, got = (np.asarray(run()) for run in runs.values())
    timings = interleaved(runs, pairs)
    return {
        "ratio": timings.ratio(*runs),
        **{f"seconds, {name}": figures for name, figures in timings.record().items()},
        "relative L2 difference": float(np.linalg.norm(got - want) / np.linalg.norm(want)),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--networks", nargs="+", choices=AIMS, default=list(AIMS))
    chosen = parser.parse_args()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(chosen.batch, chosen.size, chosen.size, 3)), jnp.float32)
    found: dict[str, Any] = {"batch": chosen.batch, "size": chosen.size, **facts()}
    for name in chosen.networks:
        row, aim = compare(random_network(name), x, chosen.pairs), AIMS[name]
        found[name] = row
        plain, rewritten = (row[f"seconds, {kind}"]["median"] for kind in ("plain", "rewritten"))
        print(
            f"{name}: {cell(row['ratio'])} x, plain {plain:.3f} s, rewritten "
            f"{rewritten:.3f} s, maps differ by {row['relative L2 difference']:.1e}; "
            f"aim {aim} x {verdict(row['ratio'], aim)}"
        )
    print(f"written to {keep('gradients', found)}")


if __name__ == "__main__":
    main()
