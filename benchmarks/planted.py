"""PEPPR on generated sets with planted discs: does the sweep tell a faithful map from chance, over fixed seeds?

    python -m benchmarks.planted [--seeds 12]

For each seed: 3,000 images to train and 3,000 to test (24 x 24, correlated background, discs of 13 pixels with +0.55,
prevalence 30/10/3 %); a ridge-linear model (lambda 300, centered, closed form); |input x gradient| of all logits, each
map divided by its maximum; the macro and the micro global map; sweeps over the default steps with the training mean as
blank, and the controls. The same with random weights, and with a model fitted to permuted labels.

The gap is the macro-averaged area of restoring minus that of erasing; the gain at 10 % is (restored - blank) / (full -
blank) of a label's AUC. Figures are means over the seeds with a 95 % t-interval. Criteria, fixed beforehand:

1. the gap of the macro map is at least 0.30;
2. random orders: the mean gap is at most 0.03 from 0, and at most 3 standard deviations of single orders;
3. the gain at 10 % under the macro map is at least 0.85 for every label;
4. the rare label's gain under the micro map is clearly below that under the macro map: the whole interval of the paired
   difference exceeds 0.25;
5. models with random weights or permuted labels: the mean gap of their macro map lies within 3 standard deviations (of
   single random orders) of the mean gap of the random orders, both those of the fitted model and their own.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import t as student

from benchmarks.record import facts, keep
from jaxplain.aggregate.peppr import order_of
from jaxplain.core.baselines import Constant
from jaxplain.core.model import Model
from jaxplain.core.targets import Logits
from jaxplain.engine.explain import explain
from jaxplain.engine.finalize import global_maps
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.io.sources import array_source
from jaxplain.synthetic import Aligned, aligned

RIDGE = 300.0
TENTH = 0.1
RARE = 2
MACRO, MICRO = "input_x_gradient/overall/macro", "input_x_gradient/overall/micro"


@dataclass(frozen=True)
class Maps:
    """Maps in memory with the names of their axes, as a store returns them."""

    values: np.ndarray
    dims: tuple[str, ...] = ("image", "target", "y", "x", "channel")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all maps."""
        return self.values.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.values[rows]


def linear(params: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Apply the linear model to a batch."""
    return (x.reshape(x.shape[0], -1) - params["center"][None]) @ params["weights"] + params["bias"][None]


def ridge(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Fit the linear model in closed form, float64."""
    x, y = images.reshape(len(images), -1).astype(np.float64), labels.astype(np.float64)
    center, bias = x.mean(axis=0), y.mean(axis=0)
    x = x - center
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - bias))
    return {"center": center, "weights": weights, "bias": bias}


def measure(params: dict[str, np.ndarray], test: Aligned, blank: float, seed: int) -> dict[str, Any]:
    """Explain, aggregate and sweep one model."""
    model = Model({name: jnp.asarray(value, jnp.float32) for name, value in params.items()}, linear)
    maps = explain(model, test.images, Logits(jnp.arange(3)), method="input_x_gradient", batch=256)
    predictions = np.asarray(model(jnp.asarray(test.images))).argmax(axis=1)
    made = global_maps(Maps(maps), test.labels, predictions, np.zeros(len(maps), np.uint8), n_labels=3)
    orders = [
        order_of(f"input_x_gradient/{group}", made.mean[made.groups.index(group)], group=group)
        for group in ("overall/macro", "overall/micro")
    ]
    settings = Settings(baseline=Constant(jnp.full((1,), blank, jnp.float32)), resamples=0, seed=seed, batch=256)
    return sweep(model, array_source(test.images, test.labels), orders, settings, labels=test.names) or {}


def gap(results: dict[str, Any], name: str) -> float:
    """Return the macro-averaged area of restoring minus that of erasing."""
    return float(_order(results, name)["auc"]["gap"]["macro"]["value"])


def gain(results: dict[str, Any], name: str, label: int) -> float:
    """Return the share of the AUC gain that a tenth of the pixels restores."""
    curve = _order(results, name)["auc"]["restore"]["labels"][label]["value"]
    return float((curve[results["fractions"].index(TENTH)] - curve[0]) / (curve[-1] - curve[0]))


def _order(results: dict[str, Any], name: str) -> dict[str, Any]:
    return next(order for order in results["orders"] if order["name"] == name)


def one_seed(seed: int, n: int) -> dict[str, Any]:
    """Measure the fitted model and the two that know nothing."""
    train, test = aligned(n, seed=2 * seed), aligned(n, seed=2 * seed + 1)
    rng, blank = np.random.default_rng(seed), float(train.images.mean())
    fitted = ridge(train.images, train.labels)
    arms = {
        "fitted": fitted,
        "random weights": {**fitted, "weights": rng.standard_normal(fitted["weights"].shape)},
        "permuted labels": ridge(train.images, train.labels[rng.permutation(n)]),
    }
    found = {arm: measure(params, test, blank, seed) for arm, params in arms.items()}
    result: dict[str, Any] = {"seed": seed, "arms": {}}
    for arm, results in found.items():
        result["arms"][arm] = {
            "gap": gap(results, MACRO),
            "random": [gap(results, order["name"]) for order in results["orders"] if order["group"] == "random"],
            "full auc": [label["value"] for label in results["endpoints"]["auc"]["full"]["labels"]],
        }
    base = found["fitted"]
    restored = {name: _order(base, name)["auc"] for name in (MACRO, MICRO, "center", "energy")}
    result |= {
        "gain macro": [gain(base, MACRO, label) for label in range(3)],
        "gain micro": [gain(base, MICRO, label) for label in range(3)],
        "areas": {
            name: {mode: auc[mode]["macro"]["area"]["value"] for mode in ("erase", "restore")}
            for name, auc in restored.items()
        },
    }
    return result


def summary(values: list[float]) -> dict[str, float]:
    """Return the mean over seeds with its 95 % interval, and the range."""
    array = np.array(values)
    half = student.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else np.nan
    mean = float(array.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "min": float(array.min()), "max": float(array.max())}


def criteria(seeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judge the seeds: one row per figure, with its bound and whether it holds."""
    rows: list[dict[str, Any]] = []

    def row(name: str, values: list[float], bound: str, holds: Any) -> dict[str, float]:
        found = summary(values)
        rows.append({"name": name, **found, "bound": bound, "passes": None if holds is None else bool(holds(found))})
        return found

    def arm(name: str, key: str) -> list[Any]:
        return [seed["arms"][name][key] for seed in seeds]

    row("gap, macro map", arm("fitted", "gap"), ">= 0.30", lambda f: f["mean"] >= 0.30)
    chance = np.array(arm("fitted", "random"))
    sd = float(chance.std(ddof=1))
    bound = f"|mean| <= 0.03 and <= 3 sd = {3 * sd:.3f}"
    row("gap, random orders", chance.mean(axis=1).tolist(), bound, lambda f: abs(f["mean"]) <= min(0.03, 3 * sd))
    for label in range(3):
        values = [seed["gain macro"][label] for seed in seeds]
        row(f"gain at 10 %, label {label}, macro", values, ">= 0.85", lambda f: f["mean"] >= 0.85)
    micro = [seed["gain micro"][RARE] for seed in seeds]
    row(f"gain at 10 %, label {RARE}, micro", micro, "see the next row", None)
    less = [seed["gain macro"][RARE] - seed["gain micro"][RARE] for seed in seeds]
    row(f"gain, label {RARE}, macro - micro", less, "interval > 0.25", lambda f: f["low"] > 0.25)
    for name in ("random weights", "permuted labels"):
        own = np.array(arm(name, "random"))
        for whose, orders in (("the fitted model's", chance), ("their own", own)):
            center, width = float(orders.mean()), 3 * float(orders.std(ddof=1))
            row(
                f"gap, {name}, to {whose} random orders",
                arm(name, "gap"),
                f"{center:+.3f} +- 3 sd = {width:.3f}",
                lambda f, center=center, width=width: abs(f["mean"] - center) <= width,
            )
    for name in ("center", "energy"):
        values = [seed["areas"][name]["restore"] - seed["areas"][name]["erase"] for seed in seeds]
        row(f"gap, {name} order", values, "reported", None)
    return rows


def run(n_seeds: int, n: int) -> dict[str, Any]:
    """Measure seeds 0 to n_seeds - 1 with n images each for training and for testing."""
    began = time.perf_counter()
    seeds = [one_seed(seed, n) for seed in range(n_seeds)]
    seconds = round(time.perf_counter() - began, 1)
    return {"images": n, "seconds": seconds, **facts(), "criteria": criteria(seeds), "seeds": seeds}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the criteria as a table."""
    lines = [f"{'figure':56} {'mean':>7}  {'95 % interval':18} {'bound':38} result"]
    verdict = {True: "pass", False: "FAIL", None: ""}
    for row in rows:
        interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        lines.append(f"{row['name']:56} {row['mean']:+7.3f}  {interval:18} {row['bound']:38} {verdict[row['passes']]}")
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="PEPPR on generated sets with planted discs.")
    parser.add_argument("--seeds", type=int, default=12, help="number of fixed seeds, from 0 (default 12)")
    parser.add_argument("--images", type=int, default=3000, help="images for training and for testing (default 3000)")
    chosen = parser.parse_args()
    found = run(chosen.seeds, chosen.images)
    place = keep("planted", found)
    print(table(found["criteria"]))
    print(f"{chosen.seeds} seeds, {found['seconds']} s, {found['device']}; written to {place}")


if __name__ == "__main__":
    main()
