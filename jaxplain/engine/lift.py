"""From one example to a batch: the compiled programs of the engine.

There are two: the clean pass, which checks a batch and resolves ``Predicted``, and the explaining program, one per
method, shape and set of static knobs. Labels, weights, float knobs and baselines are arguments, so changing them
compiles nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain._registry import Entry, find_method
from jaxplain._typing import Array, PyTree, ScoreFn
from jaxplain.adapters.independence import forward
from jaxplain.core.fitting import check_classes, check_images, check_target
from jaxplain.core.model import Model
from jaxplain.core.sampling import image_key
from jaxplain.core.score import Score, output_of
from jaxplain.core.targets import Predicted, Target, batch_axes
from jaxplain.engine.context import canonical, context_axes, is_own, resolved, traced_context
from jaxplain.engine.devices import ONE_DEVICE, Devices
from jaxplain.graph.rewrite import with_fast_gradients


@dataclass(frozen=True)
class Program:
    """What decides the explaining program besides shapes: hashable, compared by value.

    Args:
        method: Name in the registry.
        statics: Static context and knobs as sorted pairs.
        diagnosed: Whether figures of the error are returned as well.
        in_rounds: Whether the method is taken in rounds.
    """

    method: str
    statics: tuple[tuple[str, Any], ...] = ()
    diagnosed: bool = False
    in_rounds: bool = False

    @property
    def entry(self) -> Entry:
        """The method's entry."""
        return find_method(self.method)

    def with_chunk(self, chunk: int) -> "Program":
        """Return the program that evaluates ``chunk`` samples together, where the method has samples."""
        if "chunk" not in self.entry.knobs:
            return self
        return replace(self, statics=_pairs({**dict(self.statics), "chunk": chunk}))


class Arguments(NamedTuple):
    """Traced arguments of a method: context (baselines, ranges) and float knobs, by name."""

    context: dict[str, Any]
    knobs: dict[str, np.ndarray]


def prepare(
    method: str | Entry, given: dict[str, Any], *, x_shape: tuple[int, ...], diagnosed: bool
) -> tuple[Program, Arguments]:
    """Check a method's keywords and part them into the program and its traced arguments.

    Args:
        method: Name in the registry, or an entry.
        given: Context without the key, and knobs.
        x_shape: Shape of one example.
        diagnosed: Whether to use the form with diagnostics, where there is one.

    Raises:
        InputError: Unknown keywords, values out of range, a baseline that does not fit.
        InputTypeError: Missing context or wrong types.
    """
    entry = find_method(method)
    # Defaults are filled in, so that a knob left alone and one given its default make the same program.
    knobs = entry.check_knobs({**{knob.name: knob.default for knob in entry.knobs.values()}, **given})
    entry.check_context(given, later=("key",))
    statics = {name: value for name, value in knobs.items() if entry.knobs[name].kind != "traced"}
    context: dict[str, Any] = {}
    for name in entry.context:
        value = given.get(name)
        if name == "key" or (value is None and name in entry.optional):
            continue
        if isinstance(value, str) and name in ("layer", "composite"):
            statics[name] = value
        elif name == "layer":
            statics[name] = tuple(value or ())
        else:
            context[name] = traced_context(entry.name, name, value, x_shape)
    traced = {name: value for name, value in knobs.items() if entry.knobs[name].kind == "traced"}
    return Program(entry.name, _pairs(statics), diagnosed and entry.with_diagnostics is not None), Arguments(
        context, traced
    )


@partial(jax.jit, static_argnames=("program", "devices"))
def explain_batch(
    score: Score,
    x: Array,
    ids: Array,
    key: Array | None,
    arguments: Arguments,
    *,
    program: Program,
    devices: Devices = ONE_DEVICE,
) -> tuple[Array, dict[str, Array]]:
    """Explain a batch.

    Args:
        score: Model, target and extra inputs; every leaf of the last two carries the images along its first axis.
        x: Examples ``(batch, *in)``.
        ids: Two 32-bit words per image ``(batch, 2)``.
        key: The run's key, or none where nothing is random.
        arguments: Traced context and knobs.
        program: The method and what is static.
        devices: Those that share out the batch.

    Returns:
        Maps ``(batch, *t, *in)`` and the figures of their error, an empty dictionary where there are none.
    """

    def one(f: ScoreFn, x: Array, keywords: dict[str, Any]) -> Any:
        run = program.entry.with_diagnostics if program.diagnosed else program.entry.function
        result = run(f, x, **keywords)  # type: ignore[misc]
        return result if program.diagnosed else (result, {})

    return over_images(one, score, x, ids, key, arguments, program, devices=devices)


def over_images(
    act: Callable[..., PyTree],
    score: Score,
    x: Array,
    ids: Array,
    key: Array | None,
    arguments: Arguments,
    program: Program,
    *per_image: PyTree,
    devices: Devices = ONE_DEVICE,
) -> PyTree:
    """Call ``act(f, x, keywords, *per_image)`` for every image of a batch; the rest is that of ``explain_batch``."""
    entry = program.entry
    axes = {name: context_axes(value) for name, value in arguments.context.items()}
    common = {name: value for name, value in arguments.context.items() if not is_own(value)}
    apart = {name: value for name, value in arguments.context.items() if is_own(value)}

    def on_device(shared: PyTree, own: PyTree) -> PyTree:
        (model, key, knobs, common), (target, extras, x, ids, apart, per_image) = shared, own

        def one(
            target: Target,
            extras: tuple[PyTree, ...],
            x: Array,
            words: Array,
            context: dict[str, Any],
            *own_values: PyTree,
        ) -> Any:
            f: ScoreFn = Score(model, target, extras)
            f = in_fast_forms(f) if entry.notes.get("plain_gradient") else f
            own = None if key is None else image_key(key, words)
            keywords: dict[str, Any] = {name: resolved(value, x, own) for name, value in context.items()}
            if "key" in entry.context:
                keywords["key"] = own
            return act(f, x, {**keywords, **knobs, **dict(program.statics)}, *own_values)

        in_axes = (0, 0, 0, 0, axes, *(0 for _ in per_image))
        return jax.vmap(one, in_axes=in_axes)(target, extras, x, ids, {**common, **apart}, *per_image)

    shared = (score.model, key, arguments.knobs, common)
    return devices.share_out(on_device, shared, (score.target, score.extras, x, ids, apart, per_image))


def placed(arguments: Arguments, devices: Devices) -> Arguments:
    """Put the arguments that all images share on every device."""
    shared = {name: value for name, value in arguments.context.items() if not is_own(value)}
    shared, knobs = devices.whole((shared, arguments.knobs))
    return Arguments({**arguments.context, **shared}, knobs)


def in_fast_forms(f: ScoreFn) -> ScoreFn:
    """Return a score with the speed rules, on the devices where they pay: CPUs."""
    return with_fast_gradients(f) if jax.default_backend() == "cpu" else f


def image_axes(score: Score, x_shape: tuple[int, ...], n_images: int | None = None) -> tuple[int | None, ...]:
    """Return, for every leaf of the target, 0 where it carries the images and None where all images share it.

    Args:
        score: A score whose extras carry the images.
        x_shape: Shape of one example.
        n_images: Number of images that every such leaf must carry, where it is known.

    Raises:
        InputError: The target names classes that the network does not have, or carries another number of images.
    """
    check_target(score.target)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), score.extras)
    outputs = forward.eval_shape(score.model, [jax.ShapeDtypeStruct((1, *x_shape), np.float32), *one])
    axes = batch_axes(score.target, min(leaf.ndim for leaf in jax.tree.leaves(outputs)) - 1)
    found = tuple(jax.tree.leaves(axes, is_leaf=lambda axis: axis is None))
    check_classes(score.target, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), outputs))
    if n_images is not None:
        check_images(score.target, found, n_images)
    return found


def select_images(score: Score, axes: tuple[int | None, ...], rows: np.ndarray) -> Score:
    """Return the score of some images: every leaf of its target and extras gets these images as first axis.

    What all images share is repeated, so that one label and a label per image make the same program.

    Args:
        score: A score whose leaves carry all images, or are shared by them.
        axes: Which do, from ``image_axes``.
        rows: Numbers of the images.
    """
    leaves, structure = jax.tree.flatten(canonical(score.target))
    chosen = [
        leaf[rows] if axis == 0 else np.broadcast_to(leaf, (len(rows), *leaf.shape))
        for leaf, axis in zip(leaves, axes, strict=True)
    ]
    return Score(
        score.model, jax.tree.unflatten(structure, chosen), jax.tree.map(lambda leaf: leaf[rows], score.extras)
    )


class Clean(NamedTuple):
    """What the clean forward pass tells of a batch."""

    target: Target
    prediction: Array
    score: Array
    good_pixels: Array
    good_outputs: Array


@partial(jax.jit, static_argnames="devices")
def clean_pass(score: Score, x: Array, *, devices: Devices = ONE_DEVICE) -> Clean:
    """Run the network once on a batch, resolve the target and look for NaN and infinities.

    Args:
        score: As in ``explain_batch``.
        x: Examples ``(batch, *in)``.
        devices: Those that share out the batch.

    Returns:
        The resolved target; the predicted class per image, or -1 where the output is no vector; the scores
        ``(batch, *t)``; and whether all pixels, and all outputs, of each image are finite.
    """

    def on_device(model: Model, own: PyTree) -> Clean:
        target, extras, x = own
        return _cleanly(Score(model, target, extras), x)

    return devices.share_out(on_device, score.model, (score.target, score.extras, x))


def _cleanly(score: Score, x: Array) -> Clean:
    outputs = jax.vmap(lambda one, extras: in_fast_forms(lambda one: output_of(score.model, one, *extras))(one))(
        x, score.extras
    )
    target = score.target.resolve(outputs) if isinstance(score.target, Predicted) else score.target
    values = jax.vmap(lambda target, output: target(output))(target, outputs)
    leaves = jax.tree.leaves(outputs)
    if len(leaves) == 1 and leaves[0].ndim == 2:
        prediction = jnp.argmax(leaves[0], axis=-1).astype(jnp.int32)
    else:
        prediction = jnp.full(x.shape[0], -1, jnp.int32)
    finite = [jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim))) for leaf in leaves]
    good = jnp.all(jnp.stack(finite), axis=0)
    return Clean(target, prediction, values, jnp.all(jnp.isfinite(x), axis=tuple(range(1, x.ndim))), good)


def id_words(ids: np.ndarray) -> np.ndarray:
    """Split 64-bit ids into two 32-bit words, high word first.

    Example:
        >>> id_words(np.array([2**32 + 5], np.uint64)).tolist()
        [[1, 5]]
    """
    ids = np.asarray(ids).astype(np.uint64)
    return np.stack([ids >> np.uint64(32), ids & np.uint64(0xFFFFFFFF)], axis=-1).astype(np.uint32)


def _pairs(statics: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(statics.items()))
