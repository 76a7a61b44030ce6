"""The blocks of a traced function: the places at which a rule can act.

Calls, remat, scan and cond are looked into. Some equations belong together: an activation, an affine run, a softmax, a
normalization. An activation is one block; the others are blocks with parts, so that a rule may take them as a whole or,
where none does, their parts. A custom derivative rule of the network's author is a block, and so is what lies inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxplain import _compat
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import naming, place
from jaxplain.graph.operations import kind_of_operands, operation_name
from jaxplain.graph.recognition.activations import Activation, recognize
from jaxplain.graph.recognition.affine import AffineRun, affine_runs
from jaxplain.graph.recognition.structures import Structure, structures
from jaxplain.graph.signs import Sign, Signs, signs_of
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Run, Site, lies_in


@dataclass(frozen=True)
class Block:
    """What a predicate sees of a place in the network.

    Args:
        kind: What is computed: ``conv``, ``dot``, ``relu``, ``max_pool``, ``softmax``, ``layer_norm``, ``sum`` (of two
            values that depend on the input), ``bilinear`` (their product), or the name of the primitive.
        path: The module path, ``""`` outside of all modules.
        position: Its number among the blocks in the order of evaluation, those inside custom derivative rules counted;
            parts have that of the whole; None inside a scan, where it runs many times.
        shape: The shape of its first output, with the network's batch axis.
        dtype: The dtype of its first output.
        source: The line of the user's code.
        parts: What its equations compute, where there are several.
        reads_input: Whether it reads the input itself, moved at most (reshaped, transposed, padded).
    """

    kind: str
    path: str
    position: int | None
    shape: tuple[int, ...]
    dtype: str
    source: str
    parts: tuple[str, ...] = ()
    reads_input: bool = False


@dataclass(frozen=True)
class Placed:
    """A block where it stands.

    Args:
        block: What predicates see.
        site: The address of its last equation.
        run: Its equations.
        moving: Which of the run's inputs depend on the input and can be differentiated; none where only integers or
            truth values come out.
        nature: Whether JAX differentiates it: "plain", "custom" by its author's rule, "opaque", or "while", inside a
            loop that has no gradient.
        within: The sites of the custom derivative rules around it.
        parts: The blocks that it consists of, where a rule may take them one by one.
        affine: The run as an affine map, where it is one.
        held: The variable inside the run that relevance methods hold constant, in normalizations.
        nonnegative: Which of the run's inputs are known to be nowhere negative, whatever the example is.
    """

    block: Block
    site: Site
    run: Run
    moving: tuple[bool, ...]
    nature: str
    within: tuple[Site, ...]
    parts: "tuple[Placed, ...]" = field(default=(), repr=False)
    affine: AffineRun | None = None
    held: Any = None
    nonnegative: tuple[bool, ...] = ()

    @property
    def matters(self) -> bool:
        """Whether it hands on numbers that depend on the input, though they be made from truth values or integers."""
        return any(_floating(variable) for variable in self.run.equations[-1].outvars)


class _Group(NamedTuple):
    kind: str
    run: Run
    affine: AffineRun | None
    held: Any


def blocks_of(traced: Traced) -> tuple[list[Placed], int]:
    """Return the blocks that depend on the input, in the order of evaluation, and how many others do not."""
    found = steps(traced)
    recognized = recognize(traced, found)
    structured = structures(traced, found, recognized)
    taken = _positions(structured)
    activations = {site: one for site, one in recognized.items() if not lies_in(site, taken)}
    seen = _elementary(found, activations)
    customs = {step.site for step in seen if _is_custom(step, activations)}
    places = {step.site: place(step.scopes) for step in seen}
    name_of = naming(places[step.site] for step in seen if step.depends)
    by_site = {step.site: step for step in found}
    placed: list[Placed] = []
    n_independent = 0
    for step in seen:
        within = tuple(site for site in (step.site[:n] for n in range(1, len(step.site))) if site in customs)
        if not step.depends:
            n_independent += not within
            continue
        activation = activations.get(step.site)
        run = activation.run if activation else Run.of(traced.program_at(step.site), step.site[-1:])
        inside = _steps_of(run, step.site, by_site)
        kind = activation.kind if activation else _kind(step)
        block = _block(kind, step, inside, name_of(places[step.site].path))
        placed.append(Placed(block, step.site, run, _moving(run, inside), _nature(step), within))
    groups = _groups(traced, found, activations, structured)
    signs = signs_of(traced, [site for site, one in recognized.items() if _rectifies(one)])
    return [_signed(one, signs) for one in _grouped(placed, groups, by_site)], n_independent


def _rectifies(activation: Activation) -> bool:
    """Tell whether an activation is a ReLU by its values, on which no weight has a say."""
    return activation.kind in ("relu", "relu6") and len(activation.run.inputs) == 1


def _signed(one: Placed, signs: Mapping[Site, Signs]) -> Placed:
    known = signs[one.site[:-1]]
    nonnegative = tuple(known.get(variable, Sign.UNKNOWN) >= Sign.NONNEGATIVE for variable in one.run.inputs)
    return replace(one, nonnegative=nonnegative, parts=tuple(_signed(part, signs) for part in one.parts))


def _positions(runs: Mapping[Site, Activation | Structure]) -> frozenset[Site]:
    return frozenset((*site[:-1], position) for site, one in runs.items() for position in one.run.positions)


def _groups(
    traced: Traced,
    found: Sequence[Step],
    activations: Mapping[Site, Activation],
    structured: Mapping[Site, Structure],
) -> dict[Site, _Group]:
    """Return the equations that belong together, by the site of the last one."""
    taken = _positions(activations) | _positions(structured)
    groups = {site: _Group(one.kind, one.run, None, one.statistic) for site, one in structured.items()}
    for one in affine_runs(traced, found, taken):
        groups[one.site] = _Group(one.parts[0], one.run, one, None)
    return groups


def _grouped(placed: Sequence[Placed], groups: Mapping[Site, _Group], by_site: Mapping[Site, Step]) -> list[Placed]:
    """Put blocks with parts in the place of their last part."""
    owner = {(*site[:-1], position): site for site, group in groups.items() for position in group.run.positions}
    ordered: dict[int, Placed] = {}
    members: dict[Site, dict[int, Placed]] = {}
    for number, one in enumerate(placed):
        site = next((owner[one.site[:n]] for n in range(1, len(one.site) + 1) if one.site[:n] in owner), None)
        if site is None:
            ordered[number] = one
        else:
            members.setdefault(site, {})[number] = one
    for site, parts in members.items():
        ordered[max(parts)] = _group(groups[site], tuple(parts.values()), site, by_site)
    return [_numbered(ordered[place], number) for number, place in enumerate(sorted(ordered))]


def _numbered(one: Placed, number: int) -> Placed:
    block = one.block if one.block.position is None else replace(one.block, position=number)
    return replace(one, block=block, parts=tuple(_numbered(part, number) for part in one.parts))


def _group(group: _Group, parts: tuple[Placed, ...], site: Site, by_site: Mapping[Site, Step]) -> Placed:
    first = parts[0]
    names = tuple(part.block.kind for part in parts)
    inside = _steps_of(group.run, site, by_site)
    block = _block(group.kind, by_site[site], inside, first.block.path, names, first.block.source)
    moving = _moving(group.run, inside)
    natures = {part.nature for part in parts}
    nature = natures.pop() if len(natures) == 1 else "plain"
    return Placed(
        block,
        site,
        group.run,
        moving,
        nature,
        first.within,
        parts if len(parts) > 1 else (),
        group.affine,
        group.held,
    )


def _elementary(found: Sequence[Step], activations: Mapping[Site, Activation]) -> list[Step]:
    """Return the steps that are blocks by themselves, of an activation the last one."""
    hidden = _hidden(activations)
    return [step for step in found if _is_block(step, activations) and not _inside(step.site, hidden)]


def _is_block(step: Step, activations: Mapping[Site, Activation]) -> bool:
    if step.site in activations or not _compat.bodies_of(step.equation):
        return True
    return _compat.kind_of(step.equation) in ("custom", "opaque")


def _is_custom(step: Step, activations: Mapping[Site, Activation]) -> bool:
    return _compat.kind_of(step.equation) == "custom" and step.site not in activations


def _hidden(activations: Mapping[Site, Activation]) -> dict[Site, bool]:
    """Return the sites that belong to an activation; True where the equation itself is not the block either."""
    return {
        (*site[:-1], position): position != site[-1]
        for site, activation in activations.items()
        for position in activation.run.positions
    }


def _inside(site: Site, hidden: dict[Site, bool]) -> bool:
    return hidden.get(site, False) or any(site[:length] in hidden for length in range(1, len(site)))


def _steps_of(run: Run, site: Site, by_site: Mapping[Site, Step]) -> list[Step]:
    return [by_site[(*site[:-1], position)] for position in run.positions]


def _kind(step: Step) -> str:
    depending = [atom for atom, flow in zip(step.equation.invars, step.inputs, strict=True) if flow.depends]
    return kind_of_operands(step.equation, depending) or operation_name(step.equation)


def _block(
    kind: str,
    step: Step,
    inside: Sequence[Step],
    path: str,
    parts: tuple[str, ...] = (),
    source: str | None = None,
) -> Block:
    aval: Any = step.equation.outvars[0].aval if step.equation.outvars else None
    made = {variable for other in inside for variable in other.equation.outvars}
    read = [
        flow
        for other in inside
        for atom, flow in zip(other.equation.invars, other.inputs, strict=True)
        if flow.depends and not (_compat.is_literal(atom) or atom in made)
    ]
    return Block(
        kind,
        path,
        None if step.loops else 0,  # numbered when all are known
        tuple(getattr(aval, "shape", ())),
        str(getattr(aval, "dtype", "")),
        _source(step) if source is None else source,
        parts if len(parts) > 1 else (),
        all(flow.moved for flow in read),
    )


def _source(step: Step) -> str:
    """Return the user's line of an equation, or of the call around it where the equation has none."""
    lines = (_compat.source_line(equation) for equation in (step.equation, *reversed(step.enclosing)))
    return next((line for line in lines if line), "")


def _moving(run: Run, inside: Sequence[Step]) -> tuple[bool, ...]:
    depending = {
        atom
        for step in inside
        for atom, flow in zip(step.equation.invars, step.inputs, strict=True)
        if flow.depends and not _compat.is_literal(atom)
    }
    smooth = any(_floating(variable) for variable in run.equations[-1].outvars)
    return tuple(smooth and variable in depending and _floating(variable) for variable in run.inputs)


def _nature(step: Step) -> str:
    if any(_compat.kind_of(outer) == "while" for outer in step.enclosing):
        return "while"
    kind = _compat.kind_of(step.equation)
    return kind if kind in ("custom", "opaque") else "plain"


def _floating(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.inexact)
