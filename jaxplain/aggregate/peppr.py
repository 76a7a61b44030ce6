"""PEPPR: progressive erasing plus progressive restoration (Engelmann, Storkey and Bernabeu 2021, arXiv:2112.09591).

One order of the pixels, shared by all images, tests a global map: erasing starts from the full image and removes the
first pixels, restoring starts from a blank one and gives them back. With f_s the share of
pixels and k_s = round(f_s n)::

    erase_s(x)   = where(rank <  k_s, blank, x)
    restore_s(x) = where(rank <  k_s, x, blank)

A faithful order makes performance fall early when erasing and rise early when restoring. Restoring k pixels of an
order is erasing the other n - k in the reversed order, so that the areas of a random order agree on average.

The paper leaves open what is settled here: the blank (a choice of the caller), the steps, the controls (random orders,
distance from the center, energy of the mean image), and that areas are trapezoids over f.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxplain.core.ranking import Coarse, rank, rank_coarse

N_RANDOM = 10


@dataclass(frozen=True, eq=False)
class Order:
    """An order of the pixels, to be swept.

    Args:
        name: Unique name, such as ``smoothgrad/overall/macro`` or ``random/3``.
        ranks: int32 image of ranks, 0 first; None where the map is not defined.
        kind: "method" for a global map, "control" for an order that knows no model.
        group: The group of the global map; for controls their family ("random", "center", "energy").
        reason: Why there are no ranks.
    """

    name: str
    ranks: np.ndarray | None
    kind: Literal["method", "control"] = "method"
    group: str = ""
    reason: str = ""


def order_of(
    name: str,
    scores: np.ndarray,
    *,
    group: str = "",
    kind: Literal["method", "control"] = "method",
    shape: tuple[int, ...] | None = None,
    coarse: Coarse = "native",
) -> Order:
    """Rank a global map; a map with NaN (no images) gives an order that says so.

    Args:
        name: Name of the order.
        scores: The map, the most important pixels highest.
        group: Its group.
        kind: "method" or "control".
        shape: The image's axes, where the map may be coarser.
        coarse: How a coarser map is ranked; see ``jaxplain.core.ranking.rank_coarse``.
    """
    if np.isnan(scores).any():
        return Order(name, None, kind, group, f"the map of {group or name} is not defined: no images, or NaN in a map")
    same = shape is None or scores.shape == shape
    return Order(name, rank(scores) if same else rank_coarse(scores, shape or (), how=coarse), kind, group)


def controls(
    shape: tuple[int, ...], *, seed: int, mean_image: np.ndarray | None = None, n_random: int = N_RANDOM
) -> list[Order]:
    """Make the orders that know no model.

    Args:
        shape: The axes that are ranked.
        seed: Seeds the random orders, each by (seed, number).
        mean_image: ``(*shape[, channels])``; its energy, the sum of squares over channels, is an order of its own.
        n_random: Number of random orders; at least 10 tell a difference from chance.
    """
    made = [
        Order(f"random/{i}", random_ranks(shape, seed=seed, number=i), "control", "random") for i in range(n_random)
    ]
    made.append(order_of("center", -center_distance(shape), kind="control", group="center"))
    if mean_image is not None:
        energy = np.square(mean_image, dtype=np.float64)
        energy = energy.sum(axis=-1) if energy.ndim > len(shape) else energy
        made.append(order_of("energy", energy, kind="control", group="energy"))
    return made


def random_ranks(shape: tuple[int, ...], *, seed: int, number: int) -> np.ndarray:
    """Return a uniformly random order."""
    permutation = np.random.default_rng([seed, number]).permutation(math.prod(shape))
    return permutation.astype(np.int32).reshape(shape)


def center_distance(shape: tuple[int, ...]) -> np.ndarray:
    """Return the squared distance of each pixel from the center of the image, in pixels."""
    axes = [np.arange(size) - (size - 1) / 2 for size in shape]
    return sum((axis**2 for axis in np.meshgrid(*axes, indexing="ij")), np.zeros(shape))


def area(curve: Any, fractions: Sequence[float]) -> np.ndarray:
    """Return the trapezoid area of curves over f; the step axis is the first.

    Example:
        >>> float(area(np.array([0.0, 1.0, 1.0]), (0.0, 0.5, 1.0)))
        0.75
    """
    return np.asarray(np.trapezoid(np.asarray(curve, np.float64), np.asarray(fractions, np.float64), axis=0))


def fraction_for(curve: np.ndarray, fractions: Sequence[float], share: float = 0.95) -> float:
    """Return the smallest restored fraction that reaches a share of the gain from blank to full.

    Linear between steps; the first crossing counts. NaN where the full image gains nothing over the blank one.

    Args:
        curve: ``(steps,)`` of restoring, from blank to full.
        fractions: ``(steps,)``.
        share: Part of ``curve[-1] - curve[0]`` to be reached.
    """
    gain = curve[-1] - curve[0]
    if not gain > 0:
        return math.nan
    wanted = curve[0] + share * gain
    at = int(np.argmax(curve >= wanted))
    if at == 0 or not curve[at] > curve[at - 1]:
        return float(fractions[at])
    part = (wanted - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(fractions[at - 1] + part * (fractions[at] - fractions[at - 1]))
