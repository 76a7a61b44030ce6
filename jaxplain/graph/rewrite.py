"""The same function with other derivatives: rules placed on the blocks of a traced function."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputTypeError
from jaxplain._pytree import pytree
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.blocks import Block, Placed
from jaxplain.graph.matching import Rules, match, unmatched
from jaxplain.graph.rules import Call, Rule, name_of
from jaxplain.graph.trace import trace
from jaxplain.graph.walk import Action, OnRun, evaluate


@pytree
class Rewritten:
    """A function of one example with equal values and other derivatives; made by ``rewrite``."""

    f: Any
    rules: tuple[Any, ...]

    def __call__(self, x: PyTree) -> PyTree:
        """Evaluate the function."""
        traced = trace(self.f, x)
        matched, _ = match(traced, self.rules)
        actions: dict[tuple[int, ...], Action] = {
            one.placed.site: _on_run(one.placed, one.rule) for one in matched if one.rule is not None
        }
        if self.rules and not actions:
            raise unmatched(self.rules, matched)
        try:
            outputs, _ = evaluate(traced.program, traced.inputs(x), actions)
        except TypeError as error:
            if "forward-mode" not in str(error):
                raise
            raise InputTypeError(
                "rewrite: a rule is a backward pass, so a rewritten function has no forward-mode derivative; "
                "use jax.grad, jax.vjp or jax.jacrev instead of jax.jvp, jax.jacfwd or jax.hessian."
            ) from error
        return traced.output(outputs)


def rewrite(f: Model | Callable[[PyTree], PyTree], rules: Rules) -> Rewritten:
    """Return the function with equal values whose derivatives follow rules at the blocks that they are meant for.

    Weights are inputs of the blocks and receive the derivative of the block with respect to them, at the cotangent
    that arrives there; so a map may stand inside a training loss. Reverse mode only, any number of times.

    Args:
        f: A score or any function of one example; a model stands for its outputs.
        rules: Pairs ``(predicate, rule)``; the first predicate that accepts a block decides. A predicate is a function
            of a ``Block``, such as ``OfKind("relu")``; a rule is described in ``jaxplain.graph.rules``. Blocks
            without a rule keep their derivative.

    Returns:
        A pytree like ``f``, to be called with one example. When called it raises ``InputError`` if a kind is misspelled
        or no predicate accepts any block.

    Raises:
        InputTypeError: An entry of ``rules`` is no such pair.

    Example:
        >>> from dataclasses import dataclass
        >>> from jaxplain.graph.predicates import OfKind
        >>> @dataclass(frozen=True)
        ... class PassThrough:
        ...     def backward(self, call, cotangents):
        ...         return cotangents
        >>> straight = rewrite(lambda x: jax.nn.relu(x).sum(), [(OfKind("relu"), PassThrough())])
        >>> jax.value_and_grad(straight)(jnp.array([-1.0, 2.0]))
        (Array(2., dtype=float32), Array([1., 1.], dtype=float32))
    """
    pairs = tuple(rules)
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0]) and isinstance(pair[1], Rule)):
            raise InputTypeError(
                f"rewrite: {pair!r} is no pair (predicate, rule); a predicate is called with a Block, a rule has a "
                "method backward(call, cotangents)."
            )
    return Rewritten(f, pairs)


def _on_run(placed: Placed, rule: Any) -> OnRun:
    """Return the block as a function with a backward pass of its own; the rule's arrays are arguments as well."""
    leaves, tree = jax.tree.flatten(rule)
    slots = [number for number, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]

    def rule_with(arrays: Sequence[Any]) -> Any:
        filled = list(leaves)
        for slot, array in zip(slots, arrays, strict=True):
            filled[slot] = array
        return jax.tree.unflatten(tree, filled)

    def join(moving: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        streams = {True: iter(moving), False: iter(fixed)}
        return [next(streams[moves]) for moves in placed.moving]

    def run(moving: Sequence[Any], fixed: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(placed.run(*join(moving, fixed)))

    @jax.custom_vjp
    def block(moving: list[Any], fixed: list[Any], arrays: list[Any]) -> tuple[Any, ...]:
        return run(moving, fixed)

    def forward(moving: list[Any], fixed: list[Any], arrays: list[Any]) -> tuple[Any, Any]:
        return run(moving, fixed), (moving, fixed, arrays)

    def backward(kept: Any, cotangents: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        moving, fixed, arrays = kept
        call = Call(placed.block, lambda *inputs: run(inputs, fixed), tuple(moving))
        chosen = rule_with(arrays)
        of_moving = _checked(chosen.backward(call, cotangents), call, chosen)
        return of_moving, _of_fixed(lambda values: run(moving, values), fixed, cotangents), None

    block.defvjp(forward, backward)

    def act(*inputs: Any) -> list[Any]:
        pairs = list(zip(inputs, placed.moving, strict=True))
        moving = [value for value, moves in pairs if moves]
        fixed = [value for value, moves in pairs if not moves]
        return list(block(moving, fixed, [leaves[slot] for slot in slots]))

    return OnRun(placed.run, act)


def _of_fixed(run: Callable[[list[Any]], Any], fixed: list[Any], cotangents: Any) -> list[Any]:
    """Return the true cotangents of what does not depend on the example; None for integers and keys."""
    smooth = [jnp.issubdtype(jnp.result_type(value), jnp.inexact) for value in fixed]
    if not any(smooth):
        return [None] * len(fixed)

    def of_smooth(values: list[Any]) -> Any:
        stream = iter(values)
        return run([next(stream) if is_smooth else value for value, is_smooth in zip(fixed, smooth, strict=True)])

    given = [value for value, is_smooth in zip(fixed, smooth, strict=True) if is_smooth]
    (found,) = jax.vjp(of_smooth, given)[1](cotangents)
    stream = iter(found)
    return [next(stream) if is_smooth else None for is_smooth in smooth]


def _checked(found: Any, call: Call, rule: Any) -> list[Any]:
    """Refuse cotangents that do not fit the block's inputs."""
    result = list(found) if isinstance(found, tuple | list) else [found]
    got = [(jnp.shape(value), jnp.result_type(value)) for value in result]
    want = [(value.shape, value.dtype) for value in call.inputs]
    if got != want:
        raise InputTypeError(_misfit(call.block, rule, got, want))
    return result


def _misfit(block: Block, rule: Any, got: Any, want: Any) -> str:
    return (
        f"rewrite: the rule {name_of(rule)} returned cotangents {got} at the block {block.kind} ({block.source}); "
        f"its inputs that depend on the example are {want}: return a tuple with one cotangent for each."
    )
