"""Which methods are stored at a layer's resolution, and how their maps are brought to the examples' size on reading.

Methods with the note ``coarse`` end in the step that their knob ``upsample`` names. The engine runs them with
``upsample=None`` and leaves that step, with its name, to whoever reads the store.
"""

from functools import partial
from typing import Any, Literal

import jax

from jaxplain._registry import find_method
from jaxplain.engine.job import Explanation
from jaxplain.graph.cam import Upsample, resized
from jaxplain.io.upsampling import Upsampling

KNOB = "upsample"


def last_step(one: Explanation) -> Upsample:
    """Return the upsampling that can be left to the reader, or None.

    Maps of several layers are averaged at the examples' size, so they are kept at that.
    """
    entry = find_method(one.method)
    if KNOB not in entry.knobs or one.stopping is not None:
        return None
    if "layer" in entry.context and not isinstance(one.keywords.get("layer"), str):
        return None
    asked: Upsample = one.keywords.get(KNOB, entry.knobs[KNOB].default)
    return asked if asked in entry.notes.get("coarse", ()) else None


def without_last_step(one: Explanation) -> dict[str, Any]:
    """Return the keywords of a method, without the upsampling where that can be left to the reader."""
    return dict(one.keywords) if last_step(one) is None else {**one.keywords, KNOB: None}


def upsampling(
    one: Explanation,
    how: Literal["bilinear", "nearest"],
    maps: jax.ShapeDtypeStruct,
    target_axes: int,
    space: tuple[int, ...],
    dimensions: tuple[str, ...],
) -> Upsampling:
    """Return how stored maps become those that were asked for.

    Args:
        one: The method.
        how: Its last step.
        maps: Shape of its maps ``(batch, [targets,] *coarse space)``.
        target_axes: 1 where there are several per image, else 0.
        space: The examples' space.
        dimensions: Names of its axes.

    Raises:
        InputError: The maps cannot be brought to that space.
    """
    layer = one.keywords.get("layer", "attention")
    jax.eval_shape(partial(resized, one.method, layer, front=1 + target_axes, space=space, upsample=how), maps)
    return Upsampling(how, space, dimensions)
