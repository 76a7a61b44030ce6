"""What the class activation maps share: a layer's values and gradients, the map's part to show, and its size.

Each method turns the values ``(*space, channels)`` of a layer, and for one score the gradients there, into a map
``(*space)``. ``relu`` keeps the positive part of that map; ``upsample`` then brings it to the example's space. Several
layers take one backward pass, and their maps are averaged at the example's size, unscaled.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array, ScoreFn
from jaxplain.core.gradient import pull_back
from jaxplain.core.maps import divide
from jaxplain.core.sampling import wide
from jaxplain.graph.tap import Names, tap, zero_deltas

Upsample = Literal["bilinear", "nearest"] | None
"""How a map is brought to the example's space; None leaves it at the layer's resolution."""
UPSAMPLINGS = ("bilinear", "nearest")
"""For the note ``coarse`` of methods whose last step is ``finished``, or ``resized`` alone."""
Denominator = Literal["activation_sum", "product_sum"]
"""The two readings of Grad-CAM++'s denominator; see ``plus_plus_weights``."""


def gradient_cam(
    where: str,
    f: ScoreFn,
    x: Array,
    layer: Names,
    combine: Callable[[Array, Array], Array],
    *,
    relu: bool,
    upsample: Upsample,
) -> Array:
    """Return the map that ``combine(gradient, activation)`` makes for each score, in the example's dtype.

    Args:
        where: The method, for messages.
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: One name or several.
        combine: Takes gradient and activation of one score and layer, in float32 or wider, to a map ``(*space)``.
        relu: Whether to keep the positive part of each layer's map only.
        upsample: How each map is brought to the example's space.

    Raises:
        InputError: A layer does not exist, has no space, or one that does not fit the example's.
    """
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    score, gradients, activations = layer_gradients(where, f, x, names)
    maps = [per_score(combine, score)(*pair) for pair in zip(gradients, activations, strict=True)]
    return finished(where, x, names, score, maps, relu=relu, upsample=upsample)


def layer_gradients(
    where: str, f: ScoreFn, x: Array, names: tuple[str, ...]
) -> tuple[Array, tuple[Array, ...], tuple[Array, ...]]:
    """Return the score ``(*t)``, and per layer gradients ``(*t, *space, channels)`` and activations."""
    tapped = tap(f, names)
    score, pull, activations = jax.vjp(lambda deltas: tapped(x, deltas), zero_deltas(f, x, names), has_aux=True)
    check_space(where, names, activations)
    gradients = pull_back(lambda cotangent: pull(cotangent)[0], score)
    return score, tuple(map(wide, gradients)), tuple(map(wide, activations))


def layer_activations(where: str, f: ScoreFn, x: Array, names: tuple[str, ...]) -> tuple[Array, tuple[Array, ...]]:
    """Return the score ``(*t)`` and per layer the activations ``(*space, channels)``, in the layer's dtype."""
    score, activations = tap(f, names)(x)
    check_space(where, names, activations)
    return score, activations


def check_space(where: str, names: tuple[str, ...], activations: tuple[Array, ...]) -> None:
    """Refuse layers that are not ``(*space, channels)``.

    Raises:
        InputError: With what to use instead.
    """
    for name, activation in zip(names, activations, strict=True):
        if activation.ndim < 2:
            raise InputError(
                f"{where}: layer {name!r} has the shape {activation.shape}, which is not (*space, channels); "
                "choose one before the pooling or flattening, or a method without a layer such as gradient."
            )


def per_score(combine: Callable[..., Array], score: Array) -> Callable[..., Array]:
    """Lift a function of one score's gradients and the activation to the gradients of a vector of scores."""
    return jax.vmap(combine, in_axes=(0, None)) if score.ndim else combine


def weighted_sum(weights: Array, activation: Array) -> Array:
    """Sum the channels of an activation with weights ``(*t, channels)``: a map ``(*t, *space)``."""
    return jnp.tensordot(weights, activation.astype(weights.dtype), axes=(-1, -1))


def space_axes(activation: Array) -> tuple[int, ...]:
    """Return the axes of ``(*space, channels)`` that are space."""
    return tuple(range(activation.ndim - 1))


def plus_plus_weights(
    derivatives: tuple[Array, Array, Array], activation: Array, unit: Array, denominator: Denominator
) -> Array:
    """Weigh channels as Grad-CAM++ does.

    ``w_k = sum_p alpha_p relu(d1_p)`` with ``alpha = d2 / (2 d2 + last)``; ``last_p`` is ``(sum_q A_q) d3_p`` for
    "activation_sum", as the paper writes it, and ``sum_q A_q d3_q`` for "product_sum". Where the denominator is zero,
    alpha is zero.

    Args:
        derivatives: The first three, of one score, in powers of ``unit``: ``d1 / unit``, ``d2 / unit^2`` ...
        activation: ``(*space, channels)``.
        unit: What the derivatives are measured in, so that their powers do not underflow.
        denominator: Which reading.

    Returns:
        ``(channels)``.
    """
    first, second, third = derivatives
    space = space_axes(activation)
    if denominator == "activation_sum":
        last = jnp.sum(activation, axis=space, keepdims=True) * third
    else:
        last = jnp.sum(activation * third, axis=space, keepdims=True)
    alpha = divide(second, 2 * second + unit * last)
    return unit * jnp.sum(alpha * jax.nn.relu(first), axis=space)


def finished(
    where: str,
    x: Array,
    names: tuple[str, ...],
    score: Array,
    maps: list[Array],
    *,
    relu: bool,
    upsample: Upsample,
) -> Array:
    """Take the positive part, bring the maps to the example's space and average them over the layers.

    Args:
        where: The method, for messages.
        x: The example, whose space and dtype the result has.
        names: The layers.
        score: The score, whose axes ``(*t)`` the maps have in front.
        maps: One per layer, ``(*t, *space)``.
        relu: Whether to keep the positive part.
        upsample: "bilinear", "nearest" or None.

    Raises:
        InputError: A map's space does not fit the example's, or the layers' maps differ in size.
    """
    shown = [
        resized(where, name, jax.nn.relu(cam) if relu else cam, score.ndim, x.shape[:-1], upsample)
        for name, cam in zip(names, maps, strict=True)
    ]
    if len({cam.shape for cam in shown}) > 1:
        raise InputError(
            f"{where}: the layers {names} have maps of the shapes {[cam.shape for cam in shown]}; "
            'pass upsample="bilinear" to average them at the example\'s size.'
        )
    return (sum(shown[1:], shown[0]) / len(shown)).astype(x.dtype)


def resized(where: str, name: str, values: Array, front: int, space: tuple[int, ...], upsample: Upsample) -> Array:
    """Bring values ``(front axes, *space)`` of a layer to another space; None leaves them as they are.

    Raises:
        InputError: The two spaces have different numbers of axes.
    """
    if upsample is None:
        return values
    if values.ndim - front != len(space):
        raise InputError(
            f"{where}: layer {name!r} has the space {values.shape[front:]}, the example {space}; "
            "pass upsample=None to keep the layer's resolution, or name[i] for one step of a scan."
        )
    return jax.image.resize(values, (*values.shape[:front], *space), method=upsample, antialias=False)
