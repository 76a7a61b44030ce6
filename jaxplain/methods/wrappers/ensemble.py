"""Ensembles around any method: maps of several networks of one architecture."""

from dataclasses import replace

from jaxtyping import Array, Float

from jaxplain._wrapping import Explainer, wrapper
from jaxplain.core.ensembles import chosen_member, count_members
from jaxplain.core.statistics import Draws, Statistic


@wrapper(keeps=("dummy",))
def ensemble(explain: Explainer, x: Float[Array, "*in"], *, statistic: Statistic = "mean") -> Draws:
    """Average the maps of the networks of an ensemble, or take another statistic of them.

    ``map = 1/n sum_i explain(f_i, x)`` over the networks f_i that ``jaxplain.ensemble`` put together. For methods that
    are linear in the score this is the map of the mean score. With "std" the map says how far the explanation depends
    on the training; the spread of a method's own samples is part of it. The standard error takes the networks for a
    sample of those that training could have given.

    Args:
        explain: The method.
        x: The example.
        statistic: "mean", "square", "variance" or "std".

    Returns:
        Unscaled, in units of the method's maps, or in their square.

    Raises:
        InputError: The model is no ensemble.

    References:
        Lakshminarayanan, Pritzel and Blundell 2017, Simple and scalable predictive uncertainty estimation using deep
        ensembles, arXiv:1612.01474.
    """
    n = count_members(explain.f)

    def one(i: Array) -> Array:
        return replace(explain, f=chosen_member(explain.f, i))(x, i)[None]

    # One network after the other: products with one weight per network are slow on CPUs.
    return Draws(explain.f, x, one, n, statistic, chunk=1)
