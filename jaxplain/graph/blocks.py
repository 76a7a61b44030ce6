"""The blocks of a traced function: the places at which a rule can act.

Calls, remat, scan and cond are looked into; a recognized activation is one block; a custom derivative rule of the
network's author is a block, and so is what lies inside it.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxplain import _compat
from jaxplain.graph.activations import Activation, recognize
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import naming, place
from jaxplain.graph.operations import operation_name
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Run, Site


@dataclass(frozen=True)
class Block:
    """What a predicate sees of a place in the network.

    Args:
        kind: What is computed: ``conv``, ``dot``, ``relu``, ``max_pool`` or the name of the primitive.
        path: The module path, ``""`` outside of all modules.
        position: Its number among the blocks in the order of evaluation, those inside custom derivative rules counted;
            None inside a scan, where it runs many times.
        shape: The shape of its first output, with the network's batch axis.
        dtype: The dtype of its first output.
        source: The line of the user's code.
    """

    kind: str
    path: str
    position: int | None
    shape: tuple[int, ...]
    dtype: str
    source: str


@dataclass(frozen=True)
class Placed:
    """A block where it stands.

    Args:
        block: What predicates see.
        site: The address of its last equation.
        run: Its equations.
        moving: Which of the run's inputs depend on the input and can be differentiated.
        nature: Whether JAX differentiates it: "plain", "custom" by its author's rule, "opaque", or "while", inside a
            loop that has no gradient.
        within: The sites of the custom derivative rules around it.
    """

    block: Block
    site: Site
    run: Run
    moving: tuple[bool, ...]
    nature: str
    within: tuple[Site, ...]


def blocks_of(traced: Traced) -> tuple[list[Placed], int]:
    """Return the blocks that depend on the input, in the order of evaluation, and how many others do not."""
    found = steps(traced)
    activations = recognize(traced, found)
    candidates = [step for step in found if _is_block(step, activations)]
    hidden = _hidden(activations)
    seen = [step for step in candidates if not _inside(step.site, hidden)]
    customs = {step.site for step in seen if _is_custom(step, activations)}
    places = {step.site: place(step.scopes) for step in seen}
    name_of = naming(places[step.site] for step in seen if step.depends)
    placed: list[Placed] = []
    n_independent = 0
    for step in seen:
        within = tuple(site for site in (step.site[:n] for n in range(1, len(step.site))) if site in customs)
        if not step.depends:
            n_independent += not within
            continue
        activation = activations.get(step.site)
        run = activation.run if activation else Run.of(traced.program_at(step.site), step.site[-1:])
        block = _block(step, activation, name_of(places[step.site].path), len(placed))
        placed.append(Placed(block, step.site, run, _moving(step, activation, run), _nature(step), within))
    return placed, n_independent


def _is_block(step: Step, activations: dict[Site, Activation]) -> bool:
    if step.site in activations or not _compat.bodies_of(step.equation):
        return True
    return _compat.kind_of(step.equation) in ("custom", "opaque")


def _is_custom(step: Step, activations: dict[Site, Activation]) -> bool:
    return _compat.kind_of(step.equation) == "custom" and step.site not in activations


def _hidden(activations: dict[Site, Activation]) -> dict[Site, bool]:
    """Return the sites that belong to an activation; True where the equation itself is not the block either."""
    return {
        (*site[:-1], position): position != site[-1]
        for site, activation in activations.items()
        for position in activation.run.positions
    }


def _inside(site: Site, hidden: dict[Site, bool]) -> bool:
    return hidden.get(site, False) or any(site[:length] in hidden for length in range(1, len(site)))


def _block(step: Step, activation: Activation | None, path: str, position: int) -> Block:
    aval: Any = step.equation.outvars[0].aval if step.equation.outvars else None
    return Block(
        activation.kind if activation else operation_name(step.equation),
        path,
        None if step.loops else position,
        tuple(getattr(aval, "shape", ())),
        str(getattr(aval, "dtype", "")),
        _compat.source_line(step.equation),
    )


def _moving(step: Step, activation: Activation | None, run: Run) -> tuple[bool, ...]:
    depending: set[Any]
    if activation is not None and len(run.equations) > 1:
        depending = set(run.inputs)
    else:
        pairs = zip(step.equation.invars, step.inputs, strict=True)
        depending = {atom for atom, flow in pairs if flow.depends and not _compat.is_literal(atom)}
    return tuple(variable in depending and _floating(variable) for variable in run.inputs)


def _nature(step: Step) -> str:
    if any(_compat.kind_of(outer) == "while" for outer in step.enclosing):
        return "while"
    kind = _compat.kind_of(step.equation)
    return kind if kind in ("custom", "opaque") else "plain"


def _floating(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.inexact)
