"""Integrated gradients: gradients and seconds to a gap of 1 %, and to a map within 1 %, by four choices of nodes."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.equal_error.reaching import distance, first, ratio, summary, timed
from benchmarks.equal_error.subjects import Subject
from benchmarks.record import rounded
from jaxplain._pytree import pytree
from jaxplain.core.model import Model
from jaxplain.core.nodes import Nodes, calibrate, path_deviations
from jaxplain.core.quadrature import nodes_and_weights
from jaxplain.core.score import Score
from jaxplain.core.targets import leaf
from jaxplain.engine.lift import in_fast_forms
from jaxplain.methods import integrated_gradients_with_diagnostics

LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
RULES = ("midpoint", "gauss_legendre", "non_uniform", "calibrated")
TARGETS = ("logit", "probability")
TOLERANCE = 0.01
PROBES = 8
WARM = 4
"""Up to so many nodes a program is run once before it is timed; longer runs are warm soon enough."""


@pytree
class LogitOrProbability:
    """One class's logit or its probability, as a flag says: both are explained in one batch by one program."""

    index: jax.Array = leaf(rank=0, classes=True)
    probability: jax.Array = leaf(rank=0)

    def __call__(self, output: jax.Array) -> jax.Array:
        """Return the score."""
        return jnp.where(self.probability, jax.nn.softmax(output)[self.index], output[self.index])


@partial(jax.jit, static_argnames=("n_steps", "rule"))
def walked(
    model: Model, x: jax.Array, target: Any, baseline: jax.Array, nodes: Nodes | None, *, n_steps: int, rule: str
) -> Any:
    """Return maps and gaps: by nodes of each image, or by a rule where there are none."""

    def one(x: jax.Array, target: Any, nodes: Nodes | None) -> Any:
        f = in_fast_forms(Score(model, target))
        knobs = {"baseline": baseline, "nodes": nodes, "n_steps": n_steps, "rule": rule, "n_probes": PROBES}
        return integrated_gradients_with_diagnostics(f, x, **knobs)

    return jax.vmap(one)(x, target, nodes)


@partial(jax.jit, static_argnames="n_points")
def deviations(model: Model, x: jax.Array, target: Any, baseline: jax.Array, *, n_points: int) -> jax.Array:
    """Return the mean over images of the gradients' deviations along their paths."""

    def one(image: Any) -> jax.Array:
        f = in_fast_forms(Score(model, image[1]))
        return path_deviations(f, image[0], baseline=baseline, n_points=n_points, chunk=32)

    return jnp.mean(lax.map(one, (x, target)), axis=0)


def targets(labels: jax.Array, names: tuple[str, ...] = TARGETS) -> LogitOrProbability:
    """Return the targets of all images, first all of one kind, then all of the other."""
    flags = [jnp.full(labels.shape, name == "probability") for name in names]
    return LogitOrProbability(jnp.tile(labels, len(names)), jnp.concatenate(flags))


def measure(
    subject: Subject, others: Subject, *, ladder: tuple[int, ...] = LADDER, n_points: int = 256, n_reference: int = 1024
) -> dict[str, Any]:
    """Return the figures of one network.

    Args:
        subject: The network and the images that are explained.
        others: The same with the images that calibrate the nodes.
        ladder: Numbers of nodes.
        n_points: Gradients per image of the calibration.
        n_reference: Nodes of the midpoint rule that stands for the true map.
    """
    n_images = len(subject.images)
    images, both = jnp.tile(subject.images, (len(TARGETS), 1, 1, 1)), targets(subject.labels)
    products, spent = timed(lambda: [_deviations(others, name, n_points) for name in TARGETS])

    def nodes_of(rule: str, n: int) -> Nodes | None:
        if rule == "non_uniform":
            return None
        if rule == "calibrated":
            own = [calibrate(product, n) for product in products]
        else:
            own = [Nodes(*nodes_and_weights(rule, n))] * len(TARGETS)
        columns = ([getattr(one, name) for one in own] for name in ("positions", "weights"))
        return Nodes(*(jnp.asarray(np.repeat(column, n_images, axis=0), jnp.float32) for column in columns))

    programs: dict[tuple[int, bool], Any] = {}

    def run(rule: str, n: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Maps, flat, gaps over the changes of the scores, and seconds per image."""
        arguments = (subject.model, images, both, subject.baseline, nodes_of(rule, n))
        static = {"n_steps": n, "rule": rule if arguments[-1] is None else "midpoint"}
        if (n, arguments[-1] is None) not in programs:
            programs[n, arguments[-1] is None] = walked.trace(*arguments, **static).lower().compile()
        program = programs[n, arguments[-1] is None]
        if n <= WARM:
            jax.block_until_ready(program(*arguments))
        (maps, figures), seconds = timed(program, *arguments)
        maps, gap = np.asarray(maps, np.float64).reshape(len(images), -1), np.asarray(figures["gap"], np.float64)
        return maps, np.abs(gap / (maps.sum(axis=1) - gap)), seconds / len(images)

    truth, _, _ = run("midpoint", n_reference)
    made: dict[str, dict[str, np.ndarray]] = {}
    for rule in RULES:
        gaps, errors, seconds = [], [], []
        for n in ladder:
            maps, gap, one = run(rule, n)
            gaps.append(gap)
            errors.append(distance(maps, truth))
            seconds.append(one)
            if len(gaps) > 1 and max(*map(np.max, (*gaps[-2:], *errors[-2:]))) <= TOLERANCE:
                break
        made[rule] = {"gap": np.stack(gaps), "map": np.stack(errors), "seconds": np.array(seconds)}
    rows = {name: slice(k * n_images, (k + 1) * n_images) for k, name in enumerate(TARGETS)}
    return {
        "images": n_images,
        "tolerance": TOLERANCE,
        "reference nodes": n_reference,
        "calibration": {
            "images": len(others.images),
            "gradients per image": n_points,
            "seconds, with compilation": rounded(spent),
        },
        "targets": {name: compare(made, rows[name], ladder) for name in TARGETS},
    }


def compare(made: dict[str, dict[str, np.ndarray]], rows: slice, ladder: tuple[int, ...]) -> dict[str, Any]:
    """Return one target's figures: by rule, what it takes to either kind of error, and the ratio of midpoint to it."""
    reached = {rule: {kind: _reached(one, kind, rows, ladder) for kind in ("gap", "map")} for rule, one in made.items()}
    found: dict[str, Any] = {}
    for rule, one in made.items():
        found[rule] = {"forward passes besides": PROBES + 1 if rule == "non_uniform" else 0}
        for kind, own in reached[rule].items():
            base = reached["midpoint"][kind]
            found[rule][kind] = {
                **{name: summary(counts) for name, counts in own.items()},
                "midpoint over it, gradients": ratio(base["gradients"], own["gradients"], ladder[-1]),
                "midpoint over it, seconds": ratio(base["seconds"], own["seconds"], made["midpoint"]["seconds"][-1]),
            }
        found[rule]["medians"] = {
            str(n): [rounded(np.median(one[kind][k, rows])) for kind in ("gap", "map")]
            for k, n in enumerate(ladder[: len(one["seconds"])])
        }
    return found


def _reached(one: dict[str, np.ndarray], kind: str, rows: slice, ladder: tuple[int, ...]) -> dict[str, np.ndarray]:
    met = one[kind][:, rows] <= TOLERANCE
    rungs = first(met, held=True)
    tried = len(one["seconds"])

    def at(values: Any, rungs: np.ndarray) -> np.ndarray:
        return np.append(np.asarray(values, float)[:tried], np.inf)[rungs]

    return {
        "gradients": at(ladder, rungs),
        "gradients, next not asked": at(ladder, first(met, held=False)),
        "seconds": at(one["seconds"], rungs),
    }


def _deviations(others: Subject, name: str, n_points: int) -> np.ndarray:
    both = targets(others.labels, (name,))
    return np.asarray(deviations(others.model, others.images, both, others.baseline, n_points=n_points))
