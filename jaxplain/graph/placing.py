"""Rules placed on the blocks of a function that was traced for one shape of input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array, PyTree
from jaxplain.graph.blocks import Placed
from jaxplain.graph.branches import choosing, note_branch, same_branch
from jaxplain.graph.matching import Matched, Rules, match, unmatched, without_rule
from jaxplain.graph.rules import Call, name_of
from jaxplain.graph.speed import fast_actions, fast_run
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Action, OnRun, Ports, Run, Site, evaluate

Unknown = Literal["raise", "gradient"]
Acting = Callable[[Sequence[Any], PyTree], tuple[list[Any], PyTree]]


@dataclass(frozen=True)
class Placement:
    """A traced function and the rule of each block; made by ``place_rules``.

    Args:
        traced: The function.
        acting: The blocks whose rule replaces their derivative.
        fast: Whether other blocks are pulled back in forms that run faster.
        where: What errors name.
    """

    traced: Traced
    acting: tuple[Matched, ...]
    fast: bool
    where: str

    def value(
        self,
        x: PyTree,
        recorded: Ports | None = None,
        written: Ports | None = None,
        branches: Ports | None = None,
    ) -> PyTree:
        """Evaluate the function.

        Args:
            x: The example.
            recorded: What ``record`` returned at another example.
            written: Zeros of the shapes that ``read`` returns; their cotangents are the relevance that rules give to
                entries of the input.
            branches: What ``branches`` returned at another example; where this one takes others, derivatives are NaN.
        """
        ports: Ports = dict(branches or {})
        for word, values in (("recorded", recorded), ("written", written)):
            for site, tree in (values or {}).items():
                ports.setdefault(site, {})[word] = tree
        actions: dict[Site, Action] = {
            one.placed.site: OnRun(one.placed.run, _ruled(one, self._run(one))) for one in self.acting
        }
        actions |= dict.fromkeys(branches or {}, same_branch)
        if self.fast:
            actions |= fast_actions(self.traced, [one.placed for one in self.acting])
        return self.traced.output(self._evaluate(x, actions, ports)[0])

    def record(self, x: PyTree) -> Ports:
        """Return what the rules record of an example, by site."""
        recording = [one for one in self.acting if hasattr(one.rule, "record")]
        return self._emitted(x, lambda one: _recording(one, self._run(one)), recording)

    def read(self, x: PyTree) -> Ports:
        """Return what the blocks read whose rules give relevance to entries of the input, by site."""
        return self._emitted(x, _reading, [one for one in self.acting if _to_input(one)])

    def branches(self, x: PyTree) -> Ports:
        """Return which branches an example takes in the conditionals whose branch depends on it, by site."""
        sites = choosing(self.traced)
        return self._evaluate(x, dict.fromkeys(sites, note_branch), {})[1] if sites else {}

    def _emitted(self, x: PyTree, acting: Callable[[Matched], Acting], blocks: Sequence[Matched]) -> Ports:
        actions: dict[Site, Action] = {one.placed.site: OnRun(one.placed.run, acting(one)) for one in blocks}
        if not actions:
            return {}
        if self.fast:
            actions |= fast_actions(self.traced, [one.placed for one in blocks])
        return self._evaluate(x, actions, {})[1]

    def _run(self, one: Matched) -> Run:
        return fast_run(one.placed) if self.fast else one.placed.run

    def _evaluate(self, x: PyTree, actions: Mapping[Site, Action], ports: Ports) -> tuple[list[Any], Ports]:
        try:
            return evaluate(self.traced.program, self.traced.inputs(x), actions, ports)
        except TypeError as error:
            if "forward-mode" not in str(error):
                raise
            raise InputTypeError(
                f"{self.where}: a rule is a backward pass, so a rewritten function has no forward-mode derivative; "
                "use jax.grad, jax.vjp or jax.jacrev instead of jax.jvp, jax.jacfwd or jax.hessian."
            ) from error


def place_rules(
    f: Any, x: PyTree, rules: Rules, *, unknown: Unknown = "gradient", fast: bool = False, where: str = "rewrite"
) -> Placement:
    """Trace a function and match its blocks with rules.

    Raises:
        InputError: A kind is misspelled, no predicate accepts any block, a block has no rule where that is asked for,
            or a rule that writes to the input stands at a block that does not read it.
    """
    traced = trace(f, x)
    matched = match(traced, rules)[0] if rules or unknown == "raise" else []  # recognition takes its time
    acting = tuple(one for one in matched if one.acts)
    if unknown == "raise" and (error := without_rule(where, matched)):
        raise error
    if rules and not any(one.rule is not None for one in matched):
        raise unmatched(where, rules, matched)
    for one in acting:
        block = one.placed.block
        if _to_input(one) and not block.reads_input:
            raise InputError(
                f"{where}: the rule {name_of(one.rule)} gives relevance to entries of the input, and the block "
                f"{block.kind} {block.path} ({block.source}) does not read the input itself; limit the rule to blocks "
                "that do (jaxplain.graph.predicates.ReadsInput), and preprocess images before they are explained."
            )
    return Placement(traced, acting, fast, where)


def _to_input(one: Matched) -> bool:
    return bool(getattr(one.rule, "to_input", False))


def _parted(placed: Placed, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    pairs = list(zip(inputs, placed.moving, strict=True))
    return [value for value, moves in pairs if moves], [value for value, moves in pairs if not moves]


def _joined(placed: Placed, moving: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
    streams = {True: iter(moving), False: iter(fixed)}
    return [next(streams[moves]) for moves in placed.moving]


def _call(
    placed: Placed,
    run: Run,
    moving: Sequence[Any],
    fixed: Sequence[Any],
    outputs: Sequence[Any],
    recorded: PyTree = None,
) -> Call:
    """Return what a rule sees of a block.

    Args:
        placed: The block.
        run: Its equations in the forms that they are pulled back in.
        moving, fixed, outputs: Values of its inputs and outputs.
        recorded: What the rule recorded at another example.
    """

    def of(run: Run) -> Callable[..., tuple[Any, ...]]:
        return lambda *values: tuple(run(*_joined(placed, values, fixed)))

    inputs = _joined(placed, moving, fixed)
    affine = replace(placed.affine, run=run).at(inputs) if placed.affine else None
    held = _held(placed, inputs, fixed) if placed.held is not None else None
    nonnegative = _parted(placed, placed.nonnegative)[0]
    return Call(
        placed.block,
        of(placed.run),
        tuple(moving),
        tuple(outputs),
        of(run),
        affine,
        held,
        recorded,
        tuple(nonnegative),
    )


def _held(placed: Placed, inputs: Sequence[Any], fixed: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
    """Return the run with the held variable's value put in, which derivatives of a map still reach."""
    given = {placed.held: placed.run.values(*inputs)[placed.held]}
    return lambda *values: tuple(placed.run(*_joined(placed, values, fixed), given=given))


def _reading(one: Matched) -> Acting:
    def act(inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        return one.placed.run(*inputs), _parted(one.placed, inputs)[0]

    return act


def _recording(one: Matched, run: Run) -> Acting:
    """Evaluate the block and let its rule record; inside a cond ``present`` stays zero where a branch is not taken."""

    def act(inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        outputs = run(*inputs)
        values = one.rule.record(_call(one.placed, run, *_parted(one.placed, inputs), outputs))
        return outputs, {"present": jnp.ones(()), "values": values}

    return act


def _recorded(port: PyTree) -> PyTree:
    """Return what was recorded, the mean over the examples that came by; zeros where none did."""
    if port is None:
        return None
    came = jnp.where(port["present"] > 0, port["present"], 1)
    return jax.tree.map(lambda leaf: leaf / came.astype(leaf.dtype), port["values"])


def _where_recorded(port: PyTree, found: list[Array], cotangents: tuple[Any, ...]) -> list[Array]:
    """Replace what a rule made without a recording: by NaN, or zeros where nothing arrives.

    Under ``vmap`` all branches of a conditional are evaluated, and zeros arrive at those that are not taken.
    """
    if port is None:
        return found
    arrives = jnp.any(jnp.stack([jnp.any(cotangent != 0) for cotangent in cotangents]))
    without = jnp.where(arrives, jnp.nan, 0)
    return [jnp.where(port["present"] > 0, value, without.astype(value.dtype)) for value in found]


def _ruled(one: Matched, in_forms: Run) -> Acting:
    """Return the block as a function with a backward pass of its own; the rule's arrays are arguments as well."""
    placed = one.placed
    leaves, tree = jax.tree.flatten(one.rule)
    slots = [number for number, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]

    def rule_with(arrays: Sequence[Any]) -> Any:
        filled = list(leaves)
        for slot, array in zip(slots, arrays, strict=True):
            filled[slot] = array
        return jax.tree.unflatten(tree, filled)

    def run(moving: Sequence[Any], fixed: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(in_forms(*_joined(placed, moving, fixed)))

    @jax.custom_vjp
    def block(moving: list[Any], fixed: list[Any], arrays: list[Any], port: PyTree) -> tuple[Any, ...]:
        return run(moving, fixed)

    def forward(*arguments: PyTree) -> tuple[Any, _Kept]:
        moving, fixed, arrays, port = jax.tree.map(lambda one: one.value, arguments)
        perturbed = tuple(one.perturbed and _smooth(one.value) for one in arguments[1])
        outputs = run(moving, fixed)
        return outputs, _Kept(moving, fixed, arrays, outputs, port.get("recorded"), perturbed)

    def backward(kept: _Kept, cotangents: tuple[Any, ...]) -> tuple[Any, Any, Any, Any]:
        cotangents = tuple(map(_materialized, cotangents))
        moving, fixed, recorded = kept.moving, kept.fixed, kept.recorded
        chosen = rule_with(kept.arrays)
        call = _call(placed, in_forms, moving, fixed, kept.outputs, _recorded(recorded))
        found = _where_recorded(recorded, _checked(chosen.backward(call, cotangents), call, chosen), cotangents)
        of_fixed = _of_fixed(lambda values: run(moving, values), fixed, kept.perturbed, cotangents)
        if not _to_input(one):
            return found, of_fixed, None, None
        of_port = {"written": found} | ({} if recorded is None else {"recorded": None})
        return [jnp.zeros_like(value) for value in moving], of_fixed, None, of_port

    block.defvjp(forward, backward, symbolic_zeros=True)

    def act(inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        return list(block(*_parted(placed, inputs), [leaves[slot] for slot in slots], port or {})), None

    return act


@pytree
class _Kept:
    """What a block keeps for its backward pass; ``perturbed`` tells of which fixed inputs a derivative is asked for."""

    moving: list[Any]
    fixed: list[Any]
    arrays: list[Any]
    outputs: tuple[Any, ...]
    recorded: PyTree
    perturbed: tuple[bool, ...] = static()


def _smooth(value: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(value), jnp.inexact))


def _materialized(cotangent: Any) -> Array:
    """Return a cotangent as an array: JAX passes on zeros that it knows to be zero as a shape alone."""
    if isinstance(cotangent, jax.custom_derivatives.SymbolicZero):
        return jnp.zeros(cotangent.shape, cotangent.dtype)
    return cotangent


def _of_fixed(
    run: Callable[[list[Any]], Any], fixed: list[Any], perturbed: tuple[bool, ...], cotangents: Any
) -> list[Any]:
    """Return the true cotangents of what does not depend on the example, such as weights, where they are asked for."""
    if not any(perturbed):
        return [None] * len(fixed)

    def of_perturbed(values: list[Any]) -> Any:
        stream = iter(values)
        return run([next(stream) if wanted else value for value, wanted in zip(fixed, perturbed, strict=True)])

    given = [value for value, wanted in zip(fixed, perturbed, strict=True) if wanted]
    (found,) = jax.vjp(of_perturbed, given)[1](cotangents)
    stream = iter(found)
    return [next(stream) if wanted else None for wanted in perturbed]


def _checked(found: Any, call: Call, rule: Any) -> list[Array]:
    """Refuse cotangents that do not fit the block's inputs."""
    result = list(found) if isinstance(found, tuple | list) else [found]
    got = [(jnp.shape(value), jnp.result_type(value)) for value in result]
    want = [(value.shape, value.dtype) for value in call.inputs]
    if got != want:
        raise InputTypeError(
            f"rewrite: the rule {name_of(rule)} returned cotangents {got} at the block {call.block.kind} "
            f"({call.block.source}); its inputs that depend on the example are {want}: return a tuple with one "
            "cotangent for each."
        )
    return result
