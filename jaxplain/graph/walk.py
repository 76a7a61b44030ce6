"""Evaluating a traced program equation by equation, with other behavior at chosen places.

A site is the address of an equation: its position in the program, followed, for an equation inside another one, by
the number of the body and the position there. ``(12, 0, 3)`` is the fourth equation in the first body of equation 12.

An action replaces one equation. It is called as ``action(evaluate, inputs, port) -> (outputs, emitted)`` where
``evaluate(*inputs)`` does what the equation did before, ``port`` is what the caller sent to this site (or None) and
``emitted`` (or None) travels back to the caller. Ports and emissions pass through ``scan`` with the scan's axis in
front, through ``cond`` with zeros from the branches not taken, and through remat.
``OnRun`` is an action on several equations of one program that are taken as one block; it lies at the last of them.
An equation in which no action lies is bound unchanged, so a custom derivative rule keeps its meaning; one that is
entered has its body's derivative instead.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain._errors import InputError
from jaxplain._typing import PyTree

Site = tuple[int, ...]
Ports = dict[Site, PyTree]
Form = Callable[..., list[Any]]
"""Another program for an equation: a function of its operands that returns its outputs."""


def lies_in(site: Site, sites: Collection[Site]) -> bool:
    """Tell whether a site is one of these, or lies inside the equation at one of them."""
    return any(site[:length] in sites for length in range(1, len(site) + 1))


@dataclass(frozen=True)
class Run:
    """Equations of one program, in order, that are one block: only what the last one computes is used outside.

    Args:
        positions: Where they stand in the program.
        equations: The equations.
        inputs: The variables that they read, each once, their own results left out.
        forms: Other programs for some of the equations, by their number in the run; functions of the operands.
    """

    positions: tuple[int, ...]
    equations: tuple[Equation, ...]
    inputs: tuple[Any, ...]
    forms: Mapping[int, Form] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program, positions: Sequence[int]) -> "Run":
        """Return the run of the equations at these positions of a program."""
        ordered = tuple(sorted(positions))
        equations = tuple(program.equations[position] for position in ordered)
        own = {variable for equation in equations for variable in equation.outvars}
        read = dict.fromkeys(atom for equation in equations for atom in equation.invars if not _compat.is_literal(atom))
        return cls(ordered, equations, tuple(variable for variable in read if variable not in own))

    def __call__(self, *inputs: Any, given: Mapping[Any, Any] | None = None) -> list[Any]:
        """Evaluate the run as it stands, in the named scopes of the caller.

        Args:
            inputs: Values of its inputs.
            given: Values of variables inside the run that are taken as they are.
        """
        values = self.values(*inputs, given=given)
        return [values[variable] for variable in self.equations[-1].outvars]

    def values(self, *inputs: Any, given: Mapping[Any, Any] | None = None) -> dict[Any, Any]:
        """Return the values of all variables of the run."""
        values = dict(zip(self.inputs, inputs, strict=True))
        for number, equation in enumerate(self.equations):
            operands = [atom.val if _compat.is_literal(atom) else values[atom] for atom in equation.invars]
            values.update(zip(equation.outvars, self.bind(number, operands), strict=True))
            values.update({variable: given[variable] for variable in equation.outvars if given and variable in given})
        return values

    def bind(self, number: int, operands: Sequence[Any]) -> list[Any]:
        """Evaluate one of the equations, in its form where it has one."""
        if number in self.forms:
            return self.forms[number](*operands)
        return _compat.bind(self.equations[number], operands, scoped=False)


@dataclass(frozen=True)
class OnRun:
    """An action on a run: ``act(inputs of the run, port) -> (outputs of its last equation, emitted)``."""

    run: Run
    act: Callable[[Sequence[Any], PyTree], tuple[list[Any], PyTree]]


Action = Callable[[Callable[..., list[Any]], Sequence[Any], PyTree], tuple[list[Any], PyTree]] | OnRun


def evaluate(
    program: Program, inputs: Sequence[Any], actions: Mapping[Site, Action], ports: Ports | None = None
) -> tuple[list[Any], Ports]:
    """Evaluate a program.

    Args:
        program: The program, from ``trace``.
        inputs: Its inputs.
        actions: What to do at which site; everything else is evaluated as it was.
        ports: Values for the actions, by site.

    Returns:
        The program's outputs, and what the actions emitted, by site.
    """
    return _evaluate(program, inputs, (), actions, ports or {})


def _evaluate(
    program: Program, inputs: Sequence[Any], here: Site, actions: Mapping[Site, Action], ports: Ports
) -> tuple[list[Any], Ports]:
    values: dict[Any, Any] = dict(zip(program.constants, program.values, strict=True))
    values.update(zip(program.inputs, inputs, strict=True))
    on_runs = {site[-1]: action for site, action in actions.items() if isinstance(action, OnRun) and site[:-1] == here}
    held = {position for action in on_runs.values() for position in action.run.positions[:-1]}
    entered = {site[: len(here) + 1] for site in actions if len(site) > len(here) + 1}
    last = _last_uses(program, on_runs)
    emitted: Ports = {}

    def read(atom: Any) -> Any:
        return atom.val if _compat.is_literal(atom) else values[atom]

    for position, equation in enumerate(program.equations):
        site = (*here, position)
        if position in held:
            continue
        if position in on_runs:
            action = on_runs[position]
            with _compat.context_of(equation):
                outputs, emission = action.act([values[variable] for variable in action.run.inputs], ports.get(site))
            if emission is not None:
                emitted[site] = emission
            values.update(zip(equation.outvars, outputs, strict=True))
            _forget(values, last.get(position, ()))
            continue
        operands = [read(atom) for atom in equation.invars]
        run = _runner(equation, site, site in entered, actions, ports, emitted)
        action_here = actions.get(site)
        if callable(action_here):
            outputs, emission = action_here(run, operands, ports.get(site))
            if emission is not None:
                emitted[site] = emission
        else:
            outputs = run(*operands)
        values.update(zip(equation.outvars, outputs, strict=True))
        _forget(values, last.get(position, ()))
    return [read(atom) for atom in program.outputs], emitted


def _forget(values: dict[Any, Any], variables: Sequence[Any]) -> None:
    for variable in variables:
        values.pop(variable, None)


def _last_uses(program: Program, on_runs: Mapping[int, OnRun]) -> dict[int, list[Any]]:
    """Tell after which equation a value can be forgotten, so that an eager evaluation does not keep them all."""
    last: dict[Any, int] = {}
    late = {place: position for position, action in on_runs.items() for place in action.run.positions}
    for position, equation in enumerate(program.equations):
        for atom in (*equation.invars, *equation.outvars):
            if not _compat.is_literal(atom):
                last[atom] = max(last.get(atom, 0), late.get(position, position))
    kept = {atom for atom in program.outputs if not _compat.is_literal(atom)}
    dead: dict[int, list[Any]] = {}
    for variable, position in last.items():
        if variable not in kept:
            dead.setdefault(position, []).append(variable)
    return dead


def _runner(
    equation: Equation, site: Site, entered: bool, actions: Mapping[Site, Action], ports: Ports, emitted: Ports
) -> Callable[..., list[Any]]:
    """Return the evaluation of one equation: bound whole, or entered where an action lies inside."""
    if not entered:
        return lambda *inputs: _compat.bind(equation, inputs)
    inner_ports = {key: port for key, port in ports.items() if key[: len(site)] == site and len(key) > len(site)}

    def enter(*inputs: Any) -> list[Any]:
        outputs, emissions = _enter(equation, site, inputs, actions, inner_ports)
        emitted.update(emissions)
        return outputs

    return enter


def _enter(
    equation: Equation, site: Site, inputs: Sequence[Any], actions: Mapping[Site, Action], ports: Ports
) -> tuple[list[Any], Ports]:
    bodies = _compat.bodies_of(equation)

    def body(number: int, operands: Sequence[Any], sent: Ports) -> tuple[list[Any], Ports]:
        return _evaluate(bodies[number], operands, (*site, number), actions, sent)

    match _compat.kind_of(equation):
        case "call" | "custom":
            with _compat.context_of(equation):
                return body(0, inputs, ports)
        case "remat":
            return _compat.bind_remat(
                equation, lambda sent, *operands: body(0, operands, _sites(sent)), [_flat(ports), *inputs]
            )
        case "scan":
            outputs, emitted = _compat.bind_scan(
                equation,
                lambda state, slices, sent: _returned(body(0, [*state, *slices], _sites(sent))),
                inputs,
                _flat(ports),
            )
            return outputs, _sites(emitted)
        case "cond":
            return _enter_cond(equation, inputs, ports, body, len(bodies))
    raise InputError(
        f"graph: the place {equation.primitive.name} at {_compat.source_line(equation)} cannot be changed inside; "
        "choose a layer outside of it."
    )


def _enter_cond(
    equation: Equation,
    inputs: Sequence[Any],
    ports: Ports,
    body: Callable[..., tuple[list[Any], Ports]],
    n_branches: int,
) -> tuple[list[Any], Ports]:
    operands = inputs[1:]
    emissions = [
        jax.eval_shape(lambda *args, k=k: _flat(body(k, args, ports)[1]), *operands) for k in range(n_branches)
    ]
    blank = {key: shape for emission in emissions for key, shape in emission.items()}

    def branch(number: int) -> Callable[..., Any]:
        def run(sent: PyTree, *args: Any) -> Any:
            outputs, emitted = _returned(body(number, args, _sites(sent)))
            return outputs, _zeros(blank) | emitted

        return run

    outputs, emitted = _compat.bind_cond(equation, [branch(k) for k in range(n_branches)], inputs, _flat(ports))
    return outputs, _sites(emitted)


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)


def _flat(ports: Ports) -> dict[str, PyTree]:
    """Give ports keys that sort as pytree keys of one type."""
    return {".".join(map(str, site)): port for site, port in ports.items()}


def _sites(flat: Mapping[str, PyTree]) -> Ports:
    return {tuple(int(number) for number in key.split(".")): port for key, port in flat.items()}


def _returned(result: tuple[list[Any], Ports]) -> tuple[list[Any], dict[str, PyTree]]:
    return result[0], _flat(result[1])
