"""Explain arrays in memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._registry import Entry, check_key
from jaxplain._typing import Array, PyTree
from jaxplain._wrapping import entry_of
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Target
from jaxplain.engine.batches import Batches
from jaxplain.engine.context import check_length
from jaxplain.engine.devices import Devices
from jaxplain.engine.explain_rounds import explain_in_rounds
from jaxplain.engine.lift import explain_batch, id_words, image_axes, placed, prepare, select_images
from jaxplain.engine.plan import choose_tile
from jaxplain.engine.precision import Precision, at_precision
from jaxplain.engine.rounds import Schedule, Stopping, prepare_rounds


def explain(
    model: Model,
    images: np.ndarray | Array,
    target: Target,
    *,
    method: str | Entry | Callable[..., Any],
    key: Array | None = None,
    ids: np.ndarray | None = None,
    extras: tuple[PyTree, ...] = (),
    batch: int | None = None,
    memory: str | int = "2GiB",
    precision: Precision = "fast",
    tolerance: float | None = None,
    budget: int | None = None,
    devices: int | None = None,
    **keywords: Any,
) -> np.ndarray:
    """Explain a model at every image of an array.

    Args:
        model: What ``from_linen``, ``from_nnx`` or ``from_function`` returned.
        images: ``(N, *in)``, floating point, channels last, as the network expects them.
        target: What to explain of the output; its leaves may carry one entry per image.
        method: Name of a registered method, the function itself, or what ``jaxplain.wrap`` returned.
        key: Typed key, for methods that sample; each image folds in its id.
        ids: Stable numbers of the images ``(N,)``; their positions by default. The noise depends on them alone.
        extras: Further inputs of the network, each ``(N, ...)``.
        batch: Images per compiled step, rounded up to a multiple of the devices; chosen from ``memory`` by default.
        memory: Budget of each device for one step, such as "2GiB".
        precision: "exact", "fast" (the device's default) or "bf16".
        tolerance: Relative error at which the map of an image is done: sampling goes on from the method's own number of
            samples, doubling it, for the images above it. A warning tells when the budget does not suffice.
        budget: Most evaluations of the network per image where there is a tolerance; 4096 by default.
        devices: How many local devices share out every batch; all by default. The maps do not depend on it beyond
            rounding. With 1, parameters that lie on several devices stay there.
        keywords: The method's context and knobs.

    Returns:
        Raw maps ``(N, *t, *in)``: signed, unscaled, channels kept.

    Raises:
        InputError: Unknown method or keyword, a value out of range, arrays that do not fit.
        InputTypeError: A missing key, a raw network instead of a model, integer images.

    Example:
        >>> import jax, jax.numpy as jnp, jaxplain
        >>> model = jaxplain.from_function(jnp.multiply, jnp.array([[1.0, 2.0, 3.0]]))
        >>> jaxplain.explain(model, jnp.ones((2, 3)), jaxplain.Logit(jnp.array([0, 2])), method="gradient")
        array([[1., 0., 0.],
               [0., 0., 3.]], dtype=float32)
    """
    entry = entry_of("explain", method)
    check_arrays(model, images, ids, extras)
    if "key" in entry.context:
        check_key(f"explain({entry.name!r})", key)
    images = images if isinstance(images, jax.Array) else np.asarray(images)
    shape = images.shape[1:]
    stopping = Stopping.of(tolerance, budget)
    schedule: Schedule | None = None
    if stopping is None:
        program, arguments = prepare(entry, keywords, x_shape=shape, diagnosed=False)
    else:
        program, arguments, schedule = prepare_rounds(entry, keywords, stopping, x_shape=shape)
    check_length(f"explain({entry.name!r})", arguments.context, len(images))
    sharing = Devices.local(devices)
    model, context = at_precision(model, precision, sharing)
    key, arguments = sharing.whole(key), placed(arguments, sharing)
    score = Score(model, target, extras)
    words = id_words(np.arange(len(images)) if ids is None else np.asarray(ids))
    with context:
        axes = image_axes(score, shape, len(images))
        tile = choose_tile(
            select_images(score, axes, np.zeros(1, int)),
            jax.ShapeDtypeStruct(shape, images.dtype),
            len(images),
            memory,
            batch,
            sharing.count,
        )
        if "chunk" not in keywords:
            program = program.with_chunk(tile.chunk)
        batches = Batches(score, axes, images, words, arguments, tile.batch, sharing)
        if schedule is not None:
            return explain_in_rounds(entry.name, batches, key, program, schedule)
        pieces: list[np.ndarray] = []
        waiting: Any = None
        for start in range(0, len(images), tile.batch):
            chosen, x, own_words, own = batches.of(np.arange(start, start + tile.batch))
            maps, _ = explain_batch(chosen, x, own_words, key, own, program=program, devices=sharing)
            # The device works on this batch while the maps of the one before are fetched.
            pieces += [] if waiting is None else [np.asarray(waiting)]
            waiting = maps
    return np.concatenate([*pieces, np.asarray(waiting)])[: len(images)]


def check_arrays(model: Any, images: Any, ids: Any, extras: tuple[PyTree, ...]) -> None:
    """Refuse what is no model, and arrays that do not belong together.

    Raises:
        InputError: Empty arrays or lengths that differ.
        InputTypeError: A network that was not wrapped, traced or integer images.
    """
    if not isinstance(model, Model):
        raise InputTypeError(
            f"explain: model is a {type(model).__name__}; wrap it first: jaxplain.from_linen(module, variables), "
            "jaxplain.from_nnx(module) or jaxplain.from_function(f, params)."
        )
    if isinstance(images, jax.core.Tracer):
        raise InputTypeError(
            "explain: images are traced; inside jit, vmap or grad call the method itself, for example "
            "jax.vmap(lambda x: jaxplain.methods.gradient(score, x))(images)."
        )
    if not hasattr(images, "shape") or len(images.shape) < 2 or len(images) == 0:
        raise InputError(
            f"explain: images of shape {getattr(images, 'shape', None)} must be (N, ...) with at least one image; "
            "add a leading axis with x[None]."
        )
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputTypeError(
            f"explain: images are {images.dtype}; convert them to float, scaled as the network expects."
        )
    for name, other in [("ids", ids), *(("extras", leaf) for leaf in jax.tree.leaves(extras))]:
        if other is not None and len(other) != len(images):
            raise InputError(f"explain: {name} has {len(other)} entries for {len(images)} images; pass one per image.")
