"""The layer table: which places of a network can be named.

A layer is one call of a module, a value tagged with ``jax.ad_checkpoint.checkpoint_name``, or an activation function
such as ``relu`` called inside a module, named ``module/relu``. Its value is what it computes last and what others use.
The second and third call of the same name are ``name@2`` and ``name@3``, in the order of evaluation. Inside a ``scan`` a
layer's value gains the scan's axis in front; ``name[i]`` is its i-th step. Outside the adapters, two calls of a
module with nothing between them count as one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._errors import InputError, unknown
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.core.score import output_of
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import Opened, Path, Place, place, root_length, undo_remat
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Site

_ACTIVATIONS = frozenset(
    [
        "relu",
        "relu6",
        "silu",
        "swish",
        "gelu",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "softplus",
        "sigmoid",
        "log_sigmoid",
        "hard_sigmoid",
        "hard_swish",
        "hard_silu",
        "hard_tanh",
        "soft_sign",
        "squareplus",
        "mish",
        "softmax",
        "log_softmax",
    ]
)
_SHORT = {"conv_general_dilated": "conv", "dot_general": "dot", "reduce_window_max": "max_pool"}
_PLUMBING = frozenset(("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "copy", "transpose"))
_INDEX = re.compile(r"^(?P<name>.*?)(?P<index>(?:\[\d+\])*)$")


@dataclass(frozen=True)
class Layer:
    """A place in a network.

    Args:
        path: Its name, as ``tap`` and the CAM methods take it.
        operations: The operations between its input and its output, each once, in order.
        shape: The shape of its output, without the network's batch axis, with the axis of a scan in front.
        dtype: The dtype of its output.
    """

    path: str
    operations: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    spot: "Spot" = field(repr=False, compare=False, kw_only=True)

    @property
    def operation(self) -> str:
        """The operations in one line."""
        return " + ".join(self.operations)


@dataclass(frozen=True)
class Spot:
    """Where a layer's value is in the program: an output of the equation at a site, and the part of it that is chosen."""

    site: Site
    output: int
    batched: bool
    loops: tuple[int, ...]
    index: tuple[int, ...] = ()
    reachable: bool = True


def layers(f: Model | Callable[[PyTree], PyTree], x: PyTree) -> tuple[Layer, ...]:
    """List the layers that can be named, in the order of evaluation.

    Args:
        f: A model, a score or any function of one example.
        x: One example, or its shape and dtype.

    Returns:
        One entry per layer.
    """
    if isinstance(f, Model):
        model = f
        return layers_of(trace(lambda example: output_of(model, example), x))
    return layers_of(trace(f, x))


def layers_of(traced: Traced) -> tuple[Layer, ...]:
    """List the layers of a traced function."""
    found = [step for step in steps(traced) if step.depends]
    places = {step.site: place(step.scopes) for step in found}
    root = root_length(places.values())
    candidates = [*_modules(traced, found, places, root), *_tags(found), *_activations(found, places, root)]
    plain = undo_remat({path for path, *_ in candidates})
    count: Counter[str] = Counter()
    table = []
    for path, run, last, output in sorted(candidates, key=lambda item: (item[2].site, -len(item[0]))):
        variable = last.equation.outvars[output]
        batched = last.outputs[output].batched
        shape = tuple(variable.aval.shape)[int(batched) :]
        name = "/".join(plain(path))
        count[name] += 1
        full = name if count[name] == 1 else f"{name}@{count[name]}"
        spot = Spot(last.site, output, batched, last.loops, reachable=_reachable(last))
        table.append(Layer(full, _operations(run), last.loops + shape, variable.aval.dtype, spot=spot))
    return tuple(table)


_Candidate = tuple[Path, list[Step], Step, int]
"""A path, the equations of one call, the equation that makes its value, and the number of that output."""


def _modules(traced: Traced, found: Sequence[Step], places: dict[Site, Place], root: int) -> Iterable[_Candidate]:
    """Yield each call of each module: a run of equations, neighbors in one program, that share a prefix of their path."""
    levels: dict[Site, list[Step]] = {}
    for step in found:
        levels.setdefault(step.site[:-1], []).append(step)
    for level in levels.values():
        outer = place(level[0].scopes[: level[0].outer])
        results = _variables(traced.program_at(level[0].site).outputs)
        runs: dict[Opened, list[Step]] = {}
        for step in level:
            open_now = set(places[step.site].opened).difference(outer.opened)
            for opened in [opened for opened in runs if opened not in open_now]:
                yield from _candidate(opened.path[root:], runs.pop(opened), level, results)
            for opened in open_now:
                if len(opened.path) > root:
                    runs.setdefault(opened, []).append(step)
        for opened, run in runs.items():
            yield from _candidate(opened.path[root:], run, level, results)


def _candidate(path: Path, run: list[Step], level: Sequence[Step], results: Sequence[Any]) -> Iterable[_Candidate]:
    """Yield a run with the last of its equations whose output is used by an equation outside of it or is a result."""
    inside = {step.site for step in run}
    used = {atom for step in level if step.site not in inside for atom in _variables(step.equation.invars)}
    used.update(results)
    for step in reversed(run):
        outputs = [number for number in _floating(step) if step.equation.outvars[number] in used]
        if outputs:
            yield path, run, step, outputs[0]
            return


def _variables(atoms: Iterable[Any]) -> list[Any]:
    return [atom for atom in atoms if not _compat.is_literal(atom)]


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
            yield (tag,), [step], step, 0


def _activations(found: Sequence[Step], places: dict[Site, Place], root: int) -> Iterable[_Candidate]:
    for step in found:
        name = activation_name(step.equation)
        if name and _floating(step) and not any(activation_name(outer) for outer in step.enclosing):
            yield (*places[step.site].path[root:], name), [step], step, 0


def activation_name(equation: _compat.Equation) -> str:
    """Return the name of the activation function that an equation calls, or ``""``."""
    if _compat.kind_of(equation) == "custom":
        (body,) = _compat.bodies_of(equation)
        equation = body.equations[0] if len(body.equations) == 1 else equation
    name = _compat.call_name(equation)
    return name if name in _ACTIVATIONS else ""


def operation_name(equation: _compat.Equation) -> str:
    """Return a short name of what an equation does."""
    name = equation.primitive.name
    return activation_name(equation) or _compat.call_name(equation) or _SHORT.get(name, name)


def _operations(run: Sequence[Step]) -> tuple[str, ...]:
    names = [operation_name(step.equation) for step in run]
    return tuple(dict.fromkeys(name for name in names if name not in _PLUMBING)) or tuple(dict.fromkeys(names))


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
    path, index = name, ()
    if name not in by_path and match is not None:
        path = match["name"]
        index = tuple(int(number) for number in re.findall(r"\d+", match["index"]))
    if path not in by_path:
        raise unknown("layers", "layer", path, by_path)
    spot = by_path[path].spot
    if not spot.reachable:
        raise InputError(
            f"layers: {path!r} is inside a while loop, which has no gradient; choose a layer outside of it."
        )
    if len(index) > len(spot.loops) or any(k >= length for k, length in zip(index, spot.loops, strict=False)):
        raise InputError(f"layers: {name!r} does not exist; {path!r} has {_scan_text(spot.loops)}.")
    return Spot(spot.site, spot.output, spot.batched, spot.loops, index)


def _scan_text(loops: tuple[int, ...]) -> str:
    return f"scan axes of length {loops}, counted from 0" if loops else "no scan axis, so it takes no index"
