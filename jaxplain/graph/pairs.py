"""Functions of pairs: an example explained by its difference from a reference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.matching import Rules
from jaxplain.graph.placing import Unknown
from jaxplain.graph.rewrite import rewrite


def rewrite_pair(
    f: Model | Callable[[PyTree], PyTree], rules: Rules, *, unknown: Unknown = "raise", where: str = "rewrite_pair"
) -> Callable[[PyTree, PyTree], PyTree]:
    """Return ``(x, reference) -> f(x)`` whose derivative by x follows rules on pairs of values.

    The function is evaluated at the reference first; each rule records there what it needs (``record``), and meets it
    again as ``call.recorded`` in the backward pass at x. So each block knows its values at both. Where x and the
    reference take different branches of a ``cond`` there is no pair, and the derivative is NaN.

    Args:
        f: A score or any function of one example.
        rules: Pairs ``(predicate, rule)`` as in ``rewrite``.
        unknown: What happens to a block without a rule: "raise" or "gradient".
        where: What errors name.

    Returns:
        A function of two examples, to be differentiated by the first. It raises ``InputError`` when they differ in
        shape or dtype.

    Example:
        >>> from dataclasses import dataclass
        >>> from jaxplain.graph.predicates import OfKind
        >>> @dataclass(frozen=True)
        ... class Slope:
        ...     def record(self, call):
        ...         return call.inputs + call.outputs
        ...     def backward(self, call, cotangents):
        ...         x, y = call.recorded
        ...         return ((call.outputs[0] - y) / (call.inputs[0] - x) * cotangents[0],)
        >>> square = rewrite_pair(lambda x: x[0] ** 2, [(OfKind("integer_pow", "square"), Slope())], unknown="gradient")
        >>> jax.grad(square)(jnp.array([3.0]), jnp.array([1.0]))
        Array([4.], dtype=float32)
    """
    rewritten = rewrite(f, rules, unknown=unknown, where=where)

    def of_pair(x: PyTree, reference: PyTree) -> PyTree:
        if jax.tree.map(_kind, x) != jax.tree.map(_kind, reference):
            raise InputError(
                f"{where}: the example is {jax.tree.map(_kind, x)} and the reference "
                f"{jax.tree.map(_kind, reference)}; they must have the same shape and dtype."
            )
        placement = rewritten.placement(x)
        return placement.value(x, recorded=placement.record(reference), branches=placement.branches(reference))

    return of_pair


def _kind(leaf: PyTree) -> str:
    return f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}"
