"""Taps: reading a layer's value and adding to it, so that a pull-back stops there.

The gradient of a score at a layer is the pull-back with respect to a ``delta`` that is added to the layer's output;
only the part of the network after the layer is differentiated.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array, PyTree
from jaxplain.graph.layers import Spot, find, layers_of
from jaxplain.graph.rewrite import without_fast_gradients
from jaxplain.graph.speed import fast_actions
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Action, Ports, Site, evaluate

Names = str | tuple[str, ...]


def tap(f: Callable[[PyTree], PyTree], layers: Names) -> Callable[..., tuple[PyTree, PyTree]]:
    """Open a function at one or several layers.

    What ``with_fast_gradients`` returned is opened with its fast forms around the layers.

    Args:
        f: A score or any function of one example.
        layers: A layer's name, or a tuple of names, as ``jaxplain.layers`` lists them. ``name[i]`` is one step of a
            scan.

    Returns:
        ``tapped(x, deltas=None) -> (f's output, activations)``. For one name, ``activations`` and ``deltas`` are
        arrays; for a tuple they are tuples parallel to it. Neither has the network's batch axis. Each delta is added
        to its layer's output; the activation is that output before the addition. Without deltas nothing is added.

    Raises:
        InputError: When called: a layer is unknown, or a delta has another shape than its activation.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "middle") ** 2)
        >>> x = jnp.array([1.0, 2.0])
        >>> score, pull, activation = jax.vjp(lambda delta: tap(f, "middle")(x, delta), jnp.zeros(2), has_aux=True)
        >>> pull(jnp.ones(()))[0]
        Array([4., 8.], dtype=float32)
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)

    def tapped(x: PyTree, deltas: PyTree = None) -> tuple[PyTree, PyTree]:
        original, fast = without_fast_gradients(f)
        traced = trace(original, x)
        spots = _spots(traced, names)
        given = (None,) * len(names) if deltas is None else (deltas,) if isinstance(layers, str) else tuple(deltas)
        if len(given) != len(names):
            raise InputError(f"tap: {len(names)} layers need {len(names)} deltas, got {len(given)}.")
        sites: dict[Site, dict[int, Spot]] = {}
        ports: Ports = {}
        for number, (name, spot, delta) in enumerate(zip(names, spots, given, strict=True)):
            sites.setdefault(spot.site, {})[number] = spot
            if delta is not None:
                shape = _shape(traced, spot)
                ports.setdefault(spot.site, {})[number] = _spread(name, spot, delta, shape)
        actions = fast_actions(traced, tapped=sites) if fast else {}
        actions |= {site: _action(taps) for site, taps in sites.items()}
        outputs, emitted = evaluate(traced.program, traced.inputs(x), actions, ports)
        values = tuple(emitted[spot.site][number][spot.index] for number, spot in enumerate(spots))
        return traced.output(outputs), values[0] if isinstance(layers, str) else values

    return tapped


def tap_shapes(f: Callable[[PyTree], PyTree], x: PyTree, layers: Names) -> PyTree:
    """Return the shapes and dtypes of the activations that ``tap(f, layers)(x)`` returns, in the same arrangement.

    Raises:
        InputError: A layer is unknown.
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    traced = trace(without_fast_gradients(f)[0], x)
    shapes = tuple(_shape(traced, spot) for spot in _spots(traced, names))
    return shapes[0] if isinstance(layers, str) else shapes


def zero_deltas(f: Callable[[PyTree], PyTree], x: PyTree, layers: Names) -> PyTree:
    """Return deltas of zeros for ``tap(f, layers)``, at which the pull-back is the gradient at the layers."""
    return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), tap_shapes(f, x, layers))


def _spots(traced: Traced, names: Sequence[str]) -> list[Spot]:
    table = layers_of(traced)
    return [find(table, name) for name in names]


def _shape(traced: Traced, spot: Spot) -> jax.ShapeDtypeStruct:
    """Return the shape of what a spot selects: scan axes without chosen steps, then the value without batch axis."""
    aval = traced.program_at(spot.site).equations[spot.site[-1]].outvars[spot.output].aval
    return jax.ShapeDtypeStruct(spot.loops[len(spot.index) :] + spot.inner(aval.shape), aval.dtype)


def _spread(name: str, spot: Spot, delta: Any, shape: jax.ShapeDtypeStruct) -> Array:
    """Give a delta the full scan axes, zero but at the chosen step."""
    if jnp.shape(delta) != shape.shape:
        raise InputError(
            f"tap: the delta of layer {name!r} has the shape {jnp.shape(delta)}, its activation {shape.shape}; "
            "make deltas with jaxplain.graph.tap.zero_deltas."
        )
    delta = jnp.asarray(delta).astype(shape.dtype)
    if not spot.index:
        return delta
    return jnp.zeros(spot.loops[: len(spot.index)] + shape.shape, shape.dtype).at[spot.index].set(delta)


def _action(taps: dict[int, Spot]) -> Action:
    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        outputs = run(*inputs)
        clean = list(outputs)
        for number, delta in (port or {}).items():
            spot = taps[number]
            outputs[spot.output] = outputs[spot.output] + _with_batch(delta, spot)
        return outputs, {number: _without_batch(clean[spot.output], spot) for number, spot in taps.items()}

    return act


def _with_batch(value: Array, spot: Spot) -> Array:
    return value if spot.axis is None else jnp.expand_dims(value, spot.axis)


def _without_batch(value: Array, spot: Spot) -> Array:
    return value if spot.axis is None else jnp.squeeze(value, spot.axis)
