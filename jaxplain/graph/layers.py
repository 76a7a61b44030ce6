"""The layer table: which places of a network can be named.

A layer is one call of a module, a value tagged with ``jax.ad_checkpoint.checkpoint_name``, or an activation function
such as ``relu`` called inside a module, named ``module/relu``. Its value is what it computes last and what others use.
The second and third call of the same name are ``name@2`` and ``name@3``, in the order of evaluation. Inside a
``scan`` a layer's value gains the scan's axis in front; ``name[i]`` is its i-th step. Outside the adapters, two calls
of a module with nothing between them count as one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._errors import InputError, unknown
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import Opened, Path, Place, naming, place
from jaxplain.graph.operations import activation_name, operation_names
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Site

_INDEX = re.compile(r"^(?P<name>.*?)(?P<index>(?:\[\d+\])*)$")


@dataclass(frozen=True)
class Layer:
    """A place in a network.

    Args:
        path: Its name, as ``tap`` and the CAM methods take it.
        operations: The operations between its input and its output, each once, in order.
        shape: The shape of its output, without the network's batch axis, with the axis of a scan in front.
        dtype: The dtype of its output.
        spot: Where this is in the program.
        reachable: Whether ``tap`` reaches it; False inside a while loop.
    """

    path: str
    operations: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    spot: "Spot" = field(repr=False, compare=False, kw_only=True)
    reachable: bool = field(repr=False, kw_only=True)

    @property
    def operation(self) -> str:
        """The operations in one line."""
        return " + ".join(self.operations)


@dataclass(frozen=True)
class Spot:
    """Where a layer's value is: an output of the equation at a site, and the part of it that is chosen."""

    site: Site
    output: int
    axis: int | None
    loops: tuple[int, ...]
    index: tuple[int, ...] = ()

    def inner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return a shape without the network's batch axis."""
        return tuple(length for number, length in enumerate(shape) if number != self.axis)


def layers(f: Model | Callable[[PyTree], PyTree], x: PyTree) -> tuple[Layer, ...]:
    """List the layers that can be named, in the order of evaluation.

    Args:
        f: A model, a score or any function of one example.
        x: One example, or its shape and dtype.

    Returns:
        One entry per layer.
    """
    return layers_of(trace(f, x))


def layers_of(traced: Traced) -> tuple[Layer, ...]:
    """List the layers of a traced function."""
    found = [step for step in steps(traced) if step.depends]
    places = {step.site: place(step.scopes) for step in found}
    name_of = naming(places.values())
    named = [(name_of(item.path), item) for item in (*_modules(traced, found, places), *_activations(found, places))]
    named += [(item.path[0], item) for item in _tags(found)]
    count: Counter[str] = Counter()
    table = []
    for name, item in sorted(named, key=lambda pair: (pair[1].last.site, -len(pair[1].path), pair[0])):
        if not name:  # the whole network
            continue
        count[name] += 1
        full = name if count[name] == 1 else f"{name}@{count[name]}"
        spot = Spot(item.last.site, item.output, item.last.outputs[item.output].axis, item.last.loops)
        aval = item.last.equation.outvars[item.output].aval
        operations = operation_names(step.equation for step in item.run)
        shape = item.last.loops + spot.inner(aval.shape)
        table.append(Layer(full, operations, shape, aval.dtype, spot=spot, reachable=_reachable(item.last)))
    return tuple(table)


class _Candidate(NamedTuple):
    """One call: its path, its equations, the one that makes its value, and which output of that it is."""

    path: Path
    run: Sequence[Step]
    last: Step
    output: int


def _modules(traced: Traced, found: Sequence[Step], places: dict[Site, Place]) -> Iterable[_Candidate]:
    """Yield each call of each module: a run of neighboring equations of one program in which it is open."""
    levels: dict[Site, list[Step]] = {}
    for step in found:
        levels.setdefault(step.site[:-1], []).append(step)
    for level in levels.values():
        outer = place(level[0].scopes[: level[0].outer])
        users = _users(level, traced.program_at(level[0].site).outputs)
        runs: dict[Opened, list[Step]] = {}
        for step in level:
            open_now = set(places[step.site].opened).difference(outer.opened)
            for opened in [opened for opened in runs if opened not in open_now]:
                yield from _candidate(opened.path, runs.pop(opened), users)
            for opened in open_now:
                runs.setdefault(opened, []).append(step)
        for opened, run in runs.items():
            yield from _candidate(opened.path, run, users)


def _candidate(path: Path, run: Sequence[Step], users: dict[Any, set[Site]]) -> Iterable[_Candidate]:
    """Yield a run with the last of its equations whose output is used by an equation outside of it or is a result."""
    inside = {step.site for step in run}
    for step in reversed(run):
        outvars = step.equation.outvars
        outputs = [number for number in _floating(step) if users.get(outvars[number], set()) - inside]
        if outputs:
            yield _Candidate(path, run, step, outputs[0])
            return


def _users(level: Sequence[Step], results: Iterable[Any]) -> dict[Any, set[Site]]:
    """Map each variable of a program to the sites that read it; ``()`` stands for the program's results."""
    users: dict[Any, set[Site]] = {}
    readers = [((), results), *((step.site, step.equation.invars) for step in level)]
    for site, atoms in readers:
        for atom in atoms:
            if not _compat.is_literal(atom):
                users.setdefault(atom, set()).add(site)
    return users


def _floating(step: Step) -> list[int]:
    return [
        number
        for number, (variable, flow) in enumerate(zip(step.equation.outvars, step.outputs, strict=True))
        if flow.depends and jnp.issubdtype(getattr(variable.aval, "dtype", np.int32), jnp.inexact)
    ]


def _tags(found: Sequence[Step]) -> Iterable[_Candidate]:
    for step in found:
        tag = _compat.tag_name(step.equation)
        if tag is not None and _floating(step):
            yield _Candidate((tag,), [step], step, 0)


def _activations(found: Sequence[Step], places: dict[Site, Place]) -> Iterable[_Candidate]:
    for step in found:
        name = activation_name(step.equation)
        if name and _floating(step) and not any(activation_name(outer) for outer in step.enclosing):
            yield _Candidate((*places[step.site].path, name), [step], step, 0)


def _reachable(step: Step) -> bool:
    return all(_compat.kind_of(outer) not in ("while", "opaque") for outer in step.enclosing)


def find(table: Sequence[Layer], name: str) -> Spot:
    """Return the place of a layer.

    Args:
        table: The layers, from ``layers_of``.
        name: A path, with ``[i]`` behind it for one step of a scan.

    Raises:
        InputError: No layer has this name, an index does not fit, or the layer is inside a while loop.
    """
    by_path = {layer.path: layer for layer in table}
    match = _INDEX.match(name)
    path, index = name, tuple[int, ...]()
    if name not in by_path and match is not None:
        path = match["name"]
        index = tuple(int(number) for number in re.findall(r"\d+", match["index"]))
    if path not in by_path:
        raise unknown("layers", "layer", path, by_path)
    spot = by_path[path].spot
    if not by_path[path].reachable:
        raise InputError(
            f"layers: {path!r} is inside a while loop, which has no gradient; choose a layer outside of it."
        )
    if len(index) > len(spot.loops) or any(k >= length for k, length in zip(index, spot.loops, strict=False)):
        raise InputError(f"layers: {name!r} does not exist; {path!r} has {_scan_text(spot.loops)}.")
    return Spot(spot.site, spot.output, spot.axis, spot.loops, index)


def _scan_text(loops: tuple[int, ...]) -> str:
    return f"scan axes of length {loops}, counted from 0" if loops else "no scan axis, so it takes no index"
