"""Conditionals whose branch depends on the input: where two examples take different ones, there is no pair."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._typing import Array, PyTree
from jaxplain.graph.flow import steps
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site

Run = Callable[..., list[Any]]


def choosing(traced: Traced) -> tuple[Site, ...]:
    """Return the sites of the conditionals whose branch depends on the input."""
    found = steps(traced)
    return tuple(s.site for s in found if _compat.kind_of(s.equation) == "cond" and s.inputs[0].depends)


def note_branch(run: Run, inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
    """Evaluate a conditional and emit which branch it takes; an action."""
    return run(*inputs), jnp.asarray(inputs[0], jnp.float32)


def same_branch(run: Run, inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
    """Evaluate a conditional whose derivative is NaN where the branch is not the one in the port; an action."""
    same = jnp.asarray(inputs[0], jnp.float32) == port
    return [_valid(same, value) if _smooth(value) else value for value in run(*inputs)], None


@jax.custom_vjp
def _valid(valid: Array, value: Array) -> Array:
    return value


def _forward(valid: Array, value: Array) -> tuple[Array, Array]:
    return value, valid


def _backward(valid: Array, cotangent: Array) -> tuple[None, Array]:
    return None, jnp.where(valid, cotangent, jnp.nan)


_valid.defvjp(_forward, _backward)


def _smooth(value: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(value), jnp.inexact))
