"""Test-time augmentation around any method: maps of views of the example, brought back to its own frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain._typing import Range
from jaxplain._wrapping import Explainer, wrapper
from jaxplain.core.regions import as_segmentations
from jaxplain.core.segments import as_segments
from jaxplain.core.statistics import Draws, Statistic
from jaxplain.core.views import Views


@wrapper(keeps=("linearity", "implementation_invariance"), sampled=False)
def augment(
    explain: Explainer,
    x: Float[Array, "*in"],
    *,
    flips: tuple[int, ...] = (-1,),
    turns: tuple[int, ...] = (),
    shift: Annotated[int, Range(low=0)] = 0,
    statistic: Statistic = "mean",
    chunk: int | None = None,
) -> Draws:
    """Average the maps of mirrored, turned and shifted views of the input, or take another statistic of them.

    ``map = 1/n sum_T T^-1 explain(T x)`` over all n combinations of the moves T, the combination of none included. With
    "std" the map says how far the explanation depends on the view; the spread of a method's own samples is part of it.
    Baseline, range, background and segments are moved with the example; further inputs of the network are not.

    Args:
        explain: The method.
        x: The example; its last axis holds channels, unless it is the only one.
        flips: Axes of space that are mirrored, each or not: -1 is left and right of an image, -2 up and down.
        turns: Two axes of equal length: in their plane the example is turned by 0, 90, 180 and 270 degrees; or none.
        shift: Pixels by which the example is moved to either side, or not, along every axis of space. The edge is
            repeated: in the view that of the image, on the way back that of the map.
        statistic: "mean", "square", "variance" or "std".
        chunk: Views evaluated together; changes memory and speed only.

    Returns:
        Unscaled, in units of the method's maps, or in their square.

    Raises:
        InputError: Axes that do not exist, a plane that is no square, or a shift of maps coarser than the example.

    References:
        Shanmugam, Blalock, Balakrishnan and Guttag 2021, Better aggregation in test-time augmentation,
        arXiv:2011.11156, for predictions.
    """
    n_space = max(1, x.ndim - 1)
    views = Views(x.shape[:n_space], flips, turns, shift)
    first = jax.eval_shape(explain.f, x).ndim

    def one(number: Array) -> Array:
        context = _seen(explain.context, views, number, x.shape)
        found = replace(explain, context=context)(views.seen(x, number), number)
        space = found.shape[first : first + n_space]
        if (shift and space != views.space) or len({space[axis] for axis in turns}) > 1:
            raise InputError(
                f"augment({explain.method.name}): maps of shape {found.shape[first:]} do not move with examples of "
                f"shape {x.shape}; let the method bring its maps to the example's size, or leave out shift and turns."
            )
        return views.back(found, number, first)[None]

    return Draws(explain.f, x, one, len(views), statistic, chunk)


def _seen(context: Mapping[str, Any], views: Views, number: Array, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the context with all that has the example's frame moved."""
    moved = dict(context)
    for name in {"baseline", "low", "high"} & set(context):
        moved[name] = _seen_values(context[name], views, number, shape)
    if "background" in context:
        moved["background"] = views.seen(context["background"], number, first=1)
    if "segments" in context:
        segments = as_segments("augment", context["segments"], shape)
        moved["segments"] = replace(segments, labels=views.seen(segments.labels, number))
    if "segmentations" in context:
        maps = as_segmentations("augment", context["segmentations"], views.space)
        moved["segmentations"] = replace(maps, labels=views.seen(maps.labels, number, first=1))
    return moved


def _seen_values(values: Any, views: Views, number: Array, shape: tuple[int, ...]) -> Any:
    """Return moved values; a fill, which is called with what is kept, is called in the example's own frame."""
    if callable(values):
        return lambda kept: views.seen(values(views.back(jnp.broadcast_to(kept, shape), number)), number)
    return views.seen(jnp.broadcast_to(jnp.asarray(values), shape), number)
