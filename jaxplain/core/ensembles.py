"""Several networks in one model: the members of an ensemble, and what a network with dropout draws.

A method explains one function. Which one is decided here, inside the function that it is given: any pytree that holds
a model, such as a score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array, PyTree
from jaxplain.core.model import Model


@pytree
class Members:
    """Parameters of several networks.

    Args:
        stacked: The parameters of one network, every leaf with the networks along its first axis.
        n: Number of networks.
    """

    stacked: PyTree
    n: int = static()


@dataclass(frozen=True)
class AverageOutput:
    """An ``apply`` for the parameters of one network, or of several, whose outputs it averages."""

    apply: Callable[..., Any]

    def __call__(self, params: PyTree, batch: Array, *extras: PyTree) -> PyTree:
        """Apply the network, or every network."""
        if not isinstance(params, Members):
            return self.apply(params, batch, *extras)
        # One after the other: products with one weight per member are slow on CPUs, and have no rules.
        outputs = jax.lax.map(lambda one: self.apply(one, batch, *extras), params.stacked)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), outputs)


def ensemble(models: list[Model] | tuple[Model, ...]) -> Model:
    """Make one model of several networks of one architecture.

    Its outputs are the mean outputs of the networks, and as any model it can be explained: that explains the mean. The
    wrapper "ensemble" explains the networks one by one and returns the mean, or the standard deviation, of their maps.

    Args:
        models: The networks, as the adapters return them; equal but for their parameters.

    Raises:
        InputError: No network, or networks of several architectures.
        InputTypeError: Something that is no model.

    Example:
        >>> import jaxplain
        >>> def linear(weights, batch):
        ...     return batch @ weights
        >>> both = ensemble([jaxplain.from_function(linear, scale * jnp.ones((3, 2))) for scale in (1.0, 2.0)])
        >>> both(jnp.ones((1, 3)))
        Array([[4.5, 4.5]], dtype=float32)
    """
    if not models:
        raise InputError("ensemble: no models; pass a list with at least one.")
    for model in models:
        if not isinstance(model, Model):
            raise InputTypeError(
                f"ensemble: {type(model).__name__} is no model; wrap it by from_linen, from_nnx or from_function."
            )
    shapes = [jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), model.params) for model in models]
    for number, model in enumerate(models):
        if model.apply != models[0].apply or shapes[number] != shapes[0]:
            raise InputError(
                f"ensemble: model {number} is another network than model 0; members differ in the values of their "
                "parameters alone. Explain networks of several architectures one by one."
            )
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(model.params for model in models))
    return Model(Members(stacked, len(models)), AverageOutput(models[0].apply))


def count_members(f: PyTree) -> int:
    """Return the number of networks inside a function.

    Raises:
        InputError: There is no ensemble inside it.
    """
    counts = {node.n for node in jax.tree.leaves(f, is_leaf=_is_members) if _is_members(node)}
    if len(counts) != 1:
        raise InputError(
            "ensemble: the function to explain holds no ensemble of networks; pass a model that "
            "jaxplain.ensemble([model, ...]) made."
        )
    return int(counts.pop())


def chosen_member(f: PyTree, number: Array) -> PyTree:
    """Return the function with one network instead of the ensemble.

    Args:
        f: A pytree that holds a model, such as a score.
        number: Which network.
    """

    def chosen(node: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[number], node.stacked) if _is_members(node) else node

    return jax.tree.map(chosen, f, is_leaf=_is_members)


def has_keys(f: PyTree) -> bool:
    """Tell whether there are random keys among the leaves of a function."""
    return any(map(_is_key, jax.tree.leaves(f)))


def redrawn(f: PyTree, key: Array) -> PyTree:
    """Return the function with other random keys among its leaves, so that its network draws other numbers.

    Args:
        f: A pytree that holds a model, such as a score.
        key: What the new keys are made of; the old ones play no part.
    """
    leaves, tree = jax.tree.flatten(f)
    for number, leaf in enumerate(leaves):
        if _is_key(leaf):
            own = jax.random.fold_in(key, number)
            leaves[number] = jax.random.split(own, leaf.shape) if leaf.shape else own
    return jax.tree.unflatten(tree, leaves)


def _is_members(node: Any) -> bool:
    return isinstance(node, Members)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
