"""When to stop along a path: how well the completeness gap and the step between nested rules tell a map's error.

    python -m benchmarks.stopping [--networks trained resnet18] [--images 16] [--reference 2049] [--most 257]

Integrated gradients by the trapezoid rule whose intervals are halved from round to round, from the mean color to
images; of each round the error of the map (relative L2 distance to a rule of many more nodes, in float32), the gap over
the change of the score, and the step: the relative L2 distance to the map of the round before. For each figure: how
many times larger the error is (median and 95th percentile over images; 1 would be a perfect forecast), and its rank
correlation with the error over images. Then, for some tolerances, the errors with which images stop when the gap alone
decides, when the step does, and when both must hold as they do in a run, and the gradients that they take. The networks
are those of ``benchmarks.smoothdiff``: a trained one with ReLU, and ResNet-18 with random weights.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.record import facts, keep, rounded
from benchmarks.smoothdiff import Network, random_resnet18, trained
from jaxplain.core.estimate import totals
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.methods import integrated_gradients_with_diagnostics

NETWORKS = {"trained": lambda n: trained(n), "resnet18": lambda n: random_resnet18(n)}
FIRST = 5
TOLERANCES = (0.05, 0.02, 0.01)
RULES = ("gap", "step", "both")


def measure(network: Network, *, n_reference: int, most: int) -> dict[str, Any]:
    """Return the figures of one network.

    Args:
        network: The network and its images.
        n_reference: Nodes of the rule that stands for the truth.
        most: Most nodes of the rules that are judged.
    """
    images = jnp.asarray(network.images)
    logits = jnp.argmax(network.model(images), axis=-1)
    baseline = jnp.broadcast_to(jnp.mean(images, axis=(0, 1, 2), keepdims=True), images.shape)

    def rule(n: int) -> tuple[np.ndarray, np.ndarray]:
        """Maps, flat, and gaps over the changes of the scores."""

        @jax.jit
        def one(x: jax.Array, logit: jax.Array, start: jax.Array) -> Any:
            f = with_fast_gradients(Score(network.model, Logit(logit)))
            return integrated_gradients_with_diagnostics(f, x, baseline=start, n_steps=n, rule="trapezoid")

        found = [one(*each) for each in zip(images, logits, baseline, strict=True)]
        maps = np.stack([np.asarray(maps, np.float64).ravel() for maps, _ in found])
        gaps = np.array([float(figures["gap"]) for _, figures in found])
        return maps, np.abs(gaps / (maps.sum(axis=1) - gaps))

    truth, _ = rule(n_reference)
    counts = totals("stopping", FIRST, most, nested=True)
    made = [rule(n) for n in counts]
    error = np.stack([distance(maps, truth) for maps, _ in made])
    gap = np.stack([gaps for _, gaps in made])
    step = np.stack([np.full(len(truth), np.nan), *(distance(made[k][0], made[k - 1][0]) for k in range(1, len(made)))])
    return {
        **network.known,
        "shape": list(images.shape),
        "reference": n_reference,
        "rounds": {
            str(n): {
                "error": quartiles(error[k]),
                "gap": foretold(gap[k], error[k]),
                "step": foretold(step[k], error[k]),
            }
            for k, n in enumerate(counts)
        },
        "stops": {
            str(tolerance): {
                name: stopped(met, error, counts)
                for name, met in zip(RULES, criteria(gap, step, tolerance), strict=True)
            }
            for tolerance in TOLERANCES
        },
    }


def criteria(gap: np.ndarray, step: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return after which rounds, for which images, each rule would stop."""
    return gap <= tolerance, step <= tolerance, (gap <= tolerance) & (step <= tolerance)


def stopped(met: np.ndarray, error: np.ndarray, counts: tuple[int, ...]) -> dict[str, Any]:
    """Return the errors with which images stop at the first round that satisfies a rule, and the gradients taken."""
    last = np.where(met.any(axis=0), met.argmax(axis=0), len(counts) - 1)
    reached = error[last, np.arange(error.shape[1])]
    return {
        "error": quartiles(reached),
        "gradients": rounded(np.mean(np.array(counts)[last])),
        "stopped": rounded(met.any(axis=0).mean()),
    }


def foretold(figure: np.ndarray, error: np.ndarray) -> dict[str, Any] | None:
    """Return how a figure tells the error over images; None where it is unknown."""
    if np.isnan(figure).any():
        return None
    ratio = error / np.maximum(figure, 1e-12)
    return {
        "median": rounded(np.median(figure)),
        "error over it": [rounded(value) for value in np.percentile(ratio, [50, 95])],
        "rank correlation": rounded(np.corrcoef(ranks(figure), ranks(error))[0, 1]),
    }


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of every value."""
    return np.argsort(np.argsort(values))


def quartiles(values: np.ndarray) -> list[float]:
    """Return median and 95th percentile."""
    return [rounded(value) for value in np.percentile(values, [50, 95])]


def distance(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the relative L2 distance of every map to its counterpart."""
    return np.linalg.norm(maps - others, axis=1) / np.linalg.norm(others, axis=1)


def table(name: str, row: dict[str, Any]) -> str:
    """Return one network's figures as a table."""
    lines = [
        f"{name} {row['shape']}, {row['weights']} weights; medians; errors against {row['reference']} nodes",
        f"{'nodes':>6} {'error':>8} {'gap':>8} {'err/gap':>8} {'rank':>6} {'step':>8} {'err/step':>8} {'rank':>6}",
    ]
    for n, found in row["rounds"].items():
        cells = [f"{n:>6} {found['error'][0]:8.4f}"]
        for figure in ("gap", "step"):
            own = found[figure]
            known = own and f"{own['median']:8.4f} {own['error over it'][0]:8.2f} {own['rank correlation']:6.2f}"
            cells.append(known or f"{'-':>8} {'-':>8} {'-':>6}")
        lines.append(" ".join(cells))
    for tolerance, rules in row["stops"].items():
        for rule, found in rules.items():
            median, high = found["error"]
            lines.append(
                f"stop at {tolerance} by {rule:>4}: error {median:.4f}, 95th percentile {high:.4f}; "
                f"{found['gradients']:.0f} gradients, {found['stopped']:.0%} of the images stopped"
            )
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=16, help="images per network (default 16)")
    parser.add_argument("--reference", type=int, default=2049, help="nodes of the truth (default 2049)")
    parser.add_argument("--most", type=int, default=257, help="most nodes that are judged (default 257)")
    chosen = parser.parse_args()
    began = time.perf_counter()
    found = {
        name: measure(NETWORKS[name](chosen.images), n_reference=chosen.reference, most=chosen.most)
        for name in chosen.networks
    }
    for name, row in found.items():
        print(table(name, row), end="\n\n")
    seconds = round(time.perf_counter() - began, 1)
    print(f"{seconds} s; written to {keep('stopping', {'networks': found, 'seconds': seconds, **facts()})}")


if __name__ == "__main__":
    main()
