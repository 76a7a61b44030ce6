"""The same function with other derivatives: rules placed on the blocks of a traced function."""

from collections.abc import Callable
from typing import Any

from jaxplain._errors import InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.matching import Rules
from jaxplain.graph.placing import Placement, Unknown, place_rules
from jaxplain.graph.rules import Rule


@pytree
class Rewritten:
    """A function of one example with equal values and other derivatives; made by ``rewrite``."""

    f: Any
    rules: tuple[Any, ...]
    unknown: Unknown = static(default="gradient")
    fast: bool = static(default=False)
    where: str = static(default="rewrite")

    def __call__(self, x: PyTree) -> PyTree:
        """Evaluate the function."""
        return self.placement(x).value(x)

    def placement(self, x: PyTree) -> Placement:
        """Trace the function for one example, or its shape, and place the rules."""
        return place_rules(self.f, x, self.rules, unknown=self.unknown, fast=self.fast, where=self.where)


def rewrite(
    f: Model | Callable[[PyTree], PyTree], rules: Rules, *, unknown: Unknown = "gradient", where: str = "rewrite"
) -> Rewritten:
    """Return the function with equal values whose derivatives follow rules at the blocks that they are meant for.

    Weights are inputs of the blocks and receive the derivative of the block with respect to them, at the cotangent
    that arrives there; so a map may stand inside a training loss. Reverse mode only, any number of times.

    Args:
        f: A score or any function of one example; a model stands for its outputs.
        rules: Pairs ``(predicate, rule)``; the first predicate that accepts a block decides. A predicate is a function
            of a ``Block``, such as ``OfKind("relu")``; a rule is described in ``jaxplain.graph.rules``. Blocks
            without a rule keep their derivative.
        unknown: What happens to a block that depends on the input and has no rule: "gradient" keeps its derivative,
            "raise" refuses the function. ``KEEP`` as a rule marks what is right as it is.
        where: What errors name.

    Returns:
        A pytree like ``f``, to be called with one example. When called it raises ``InputError`` if a kind is
        misspelled, no predicate accepts any block, or one has no rule and ``unknown`` says "raise".

    Raises:
        InputTypeError: An entry of ``rules`` is no such pair.

    Example:
        >>> from dataclasses import dataclass
        >>> from jaxplain.graph.predicates import OfKind
        >>> @dataclass(frozen=True)
        ... class PassThrough:
        ...     def backward(self, call, cotangents):
        ...         return cotangents
        >>> import jax, jax.numpy as jnp
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
    original, fast = without_fast_gradients(f)
    return Rewritten(original, pairs, unknown, fast, where)


def with_fast_gradients(f: Model | Callable[[PyTree], PyTree]) -> Rewritten:
    """Return ``f`` with faster pull-backs of its convolutions and max-poolings.

    The result can be differentiated in reverse mode, any number of times, with respect to the input and the weights.
    Rules that are placed on it later come first; the fast forms take what is left. They pay on CPUs; elsewhere XLA
    needs no help.

    Args:
        f: A score or any function of one example.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f = lambda x: jnp.sum(jnp.convolve(x, jnp.array([1.0, 2.0])) ** 2)
        >>> x = jnp.array([1.0, -1.0, 3.0])
        >>> bool(jnp.allclose(jax.grad(with_fast_gradients(f))(x), jax.grad(f)(x)))
        True
    """
    return Rewritten(f, (), fast=True)


def without_fast_gradients(f: Any) -> tuple[Any, bool]:
    """Return what ``with_fast_gradients`` was given, and True; or a function as it is, and False."""
    if isinstance(f, Rewritten) and f.fast and not f.rules:
        return f.f, True
    return f, False
