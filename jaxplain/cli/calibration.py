"""Calibrate the nodes of a job's path method: measure some of its images, choose nodes, try them on others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._errors import InputError, unknown
from jaxplain._registry import METHODS, find_method
from jaxplain._typing import Array
from jaxplain.cli.build import network_of
from jaxplain.cli.explanations import build_explanations
from jaxplain.cli.images import open_images
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.sections import MethodSection
from jaxplain.cli.targets import build_target
from jaxplain.core.model import Model
from jaxplain.core.nodes import Nodes, calibrate, path_deviations
from jaxplain.core.sampling import image_key
from jaxplain.core.score import Score
from jaxplain.core.targets import Target
from jaxplain.engine.context import resolved, traced_context
from jaxplain.engine.explain import explain
from jaxplain.engine.lift import clean_pass, id_words, image_axes, in_fast_forms, select_images
from jaxplain.engine.precision import at_precision
from jaxplain.io.sources.base import Rows, Source

RIVALS = ("gauss_legendre", "midpoint", "non_uniform")


@dataclass(frozen=True)
class Calibration:
    """Nodes of a method, and how well they did.

    Args:
        method: The method's name in the job.
        nodes: The nodes.
        measured: Number of images whose gradients chose them.
        checked: Number of other images, on which they were tried.
        errors: Relative error of the maps of those others (root mean square over images), for the calibrated nodes
            and for rules of the same number of gradients.
    """

    method: str
    nodes: Nodes
    measured: int
    checked: int
    errors: Mapping[str, float]


def calibrate_job(file: JobFile, name: str | None, *, n_steps: int | None, n_images: int, n_points: int) -> Calibration:
    """Measure ``n_images`` images of a job, evenly spread over its source, and check on as many others between them.

    Args:
        file: The job.
        name: The method's name in the job; None for the only one that takes nodes.
        n_steps: Number of nodes; None for what the job says, or the method's default.
        n_images: Images to measure, at least 1.
        n_points: Gradients per image, from whose positions the nodes are chosen.

    Raises:
        InputError: No such method, one without nodes, too few images or points, or a job that does not fit.
    """
    section = _section(file, name)
    wanted = _n_steps(section) if n_steps is None else n_steps
    if n_images < 1 or not 1 <= wanted <= n_points // 2:
        raise InputError(
            f"jaxplain calibrate: {wanted} nodes of {n_points} points on {n_images} images; ask for at least one image "
            "and at least twice as many points as nodes."
        )
    source = open_images(file)
    try:
        model, n_outputs = network_of(file, source)
        target = build_target(file.target, source, n_outputs, file.where)
        (explanation,) = build_explanations([section], source, file)
        groups = _groups(source, n_images, file.where)
    finally:
        source.close()
    baseline = traced_context(section.method, "baseline", explanation.keywords["baseline"], source.shape)
    job = _Measured(model, target, file, baseline)
    nodes = calibrate(job.deviations(*groups[0], n_points), wanted)
    found = partial(job.maps, *groups[1], section.method)
    truth = found(n_steps=2 * n_points, rule="midpoint")
    tried: dict[str, dict[str, Any]] = {"calibrated": {"nodes": nodes}}
    tried |= {rule: {"rule": rule, "n_steps": wanted} for rule in RIVALS}
    errors = {rule: _relative_error(found(**knobs), truth) for rule, knobs in tried.items()}
    return Calibration(section.name, nodes, len(groups[0][0]), len(groups[1][0]), errors)


@dataclass(frozen=True)
class _Measured:
    """What all measurements of a job share."""

    model: Model
    target: Target
    file: JobFile
    baseline: Any

    @property
    def key(self) -> Array:
        return jax.random.key(self.file.seed)

    def deviations(self, rows: np.ndarray, read: Rows, n_points: int) -> np.ndarray:
        model, context = at_precision(self.model, self.file.plan.precision)
        score = Score(model, self.target)
        with context:
            chosen = select_images(score, image_axes(score, read.image.shape[1:]), rows)
            chosen = Score(model, clean_pass(chosen, read.image).target)
            words = id_words(read.id)
            found = _deviations(
                chosen, read.image, words, self.key, self.baseline, n_points=n_points, chunk=self.file.plan.chunk
            )
        return np.asarray(found)

    def maps(self, rows: np.ndarray, read: Rows, method: str, **knobs: Any) -> np.ndarray:
        score = Score(self.model, self.target)
        chosen = select_images(score, image_axes(score, read.image.shape[1:]), rows)
        return explain(
            self.model,
            read.image,
            chosen.target,
            method=method,
            key=self.key,
            ids=read.id,
            precision=self.file.plan.precision,
            baseline=self.baseline,
            **knobs,
        )


@partial(jax.jit, static_argnames=("n_points", "chunk"))
def _deviations(
    score: Score, x: Array, words: Array, key: Array, baseline: Any, *, n_points: int, chunk: int | None
) -> Array:
    def one(image: tuple[Target, Array, Array]) -> Array:
        target, example, own = image
        f = in_fast_forms(Score(score.model, target))
        start = resolved(baseline, example, image_key(key, own))
        return path_deviations(f, example, baseline=start, n_points=n_points, chunk=chunk)

    return jnp.mean(lax.map(one, (score.target, x, words)), axis=0)


def _section(file: JobFile, name: str | None) -> MethodSection:
    """Return a method that takes nodes, without the nodes that the job may name already."""
    known = {section.name: section for section in file.methods}
    able = [section for section in file.methods if "nodes" in find_method(section.method).context]
    if name is not None and name not in known:
        raise unknown(f"{file.where}: [methods]", "name", name, known)
    if name is not None and known[name] not in able:
        words = ", ".join(sorted(method for method, entry in METHODS.items() if "nodes" in entry.context))
        raise InputError(
            f"{file.where}: [methods.{name}] {known[name].method} walks no path with nodes; methods that do: {words}."
        )
    if name is None and len(able) != 1:
        found = ", ".join(section.name for section in able) or "none"
        raise InputError(
            f"{file.where}: [methods] has {len(able)} methods with nodes ({found}); name one by --method, or add "
            "[methods.integrated_gradients]."
        )
    section = known[name] if name is not None else able[0]
    return replace(section, keywords={word: value for word, value in section.keywords.items() if word != "nodes"})


def _n_steps(section: MethodSection) -> int:
    entry = find_method(section.method)
    knob = entry.knobs["n_steps"]
    return int(knob.check(entry.name, section.keywords.get("n_steps", knob.default)))


def _groups(source: Source, n_images: int, where: str) -> tuple[tuple[np.ndarray, Rows], tuple[np.ndarray, Rows]]:
    """Return images to measure and images to check on, in turn; what cannot be read is left out."""
    rows = np.unique(np.linspace(0, len(source) - 1, 2 * n_images).round().astype(np.int64))
    read = source.read(rows)
    good = np.flatnonzero(read.status == 0)
    if len(good) < 2:
        raise InputError(f"{where}: calibration needs at least 2 images that can be read, found {len(good)}.")

    def part(which: np.ndarray) -> tuple[np.ndarray, Rows]:
        return rows[which], Rows(read.image[which], read.label[which], read.id[which], read.status[which])

    return part(good[::2]), part(good[1::2])


def _relative_error(maps: np.ndarray, truth: np.ndarray) -> float:
    """Return the root mean square over images of the error's norm over the map's; zero maps are left out."""
    off, size = (
        np.sum(np.square(values, dtype=np.float64).reshape(len(values), -1), axis=1) for values in (maps - truth, truth)
    )
    return float(np.sqrt(np.mean(off[size > 0] / size[size > 0]))) if (size > 0).any() else 0.0
