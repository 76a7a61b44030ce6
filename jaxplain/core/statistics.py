"""Statistics of maps that are drawn one after the other: mean, mean square, variance, and the error of each.

A unit is one map, or several that belong together, such as those of an antithetic pair: units are independent, the
maps of one unit need not be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from jaxplain._registry import Diagnosed
from jaxplain._typing import Array, ScoreFn
from jaxplain.core.estimate import Estimate
from jaxplain.core.noise import relative_standard_error
from jaxplain.core.sampling import Moments, mean, moments, reduce_over, wide

Statistic = Literal["mean", "square", "variance", "std"]


@dataclass(frozen=True, eq=False)
class Draws:
    """Maps that wait to be reduced to one.

    Args:
        f: Score of one example, whose shape tells the axes of scores in a map.
        x: The example.
        unit: The number of a unit to its maps, ``(m, *out)``, with the same m for all units.
        n: Number of units, at least 1.
        statistic: "mean", "square" (the mean square), "variance" (divided by the number of maps) or "std", its root.
        chunk: Units evaluated together.

    Example:
        >>> table = jnp.array([[1.0], [2.0], [6.0]])
        >>> Draws(jnp.sum, table[0], lambda i: table[i][None], 3, "std").reduced() ** 2
        Array([4.6666665], dtype=float32)
    """

    f: ScoreFn
    x: Array
    unit: Callable[[Array], Array]
    n: int
    statistic: Statistic = "mean"
    chunk: int | None = None

    def reduced(self) -> Array:
        """Return the map, in the example's dtype."""
        if self.statistic in ("mean", "square"):
            found: Array = reduce_over(self._average, self.n, mean, chunk=self.chunk)
        else:
            units: Moments = reduce_over(self._center_and_rest, self.n, moments, chunk=self.chunk)
            found = units.m2[0] / units.n.astype(units.m2[0].dtype) + units.mean[1]
            found = _root(found) if self.statistic == "std" else found
        return found.astype(self.x.dtype)

    def diagnosed(self) -> Diagnosed:
        """Return the map, and the figure of ``estimate``."""
        return self.estimate().once(self.n, self.chunk)

    def estimate(self) -> Estimate:
        """Return the estimate, whose samples are the units: the map, and ``{"stderr": (*t)}``, its relative error.

        The error of a mean follows from the spread of the units. A variance is ``E b - (E a)^2`` with the first and
        second powers a and b, averaged over a unit, of deviations from the first unit, around which rounding does not
        swamp them; its error is that of ``E (b - 2 a E a)``, to first order (for units of one map ``(m4 - m2^2) / n``),
        and that of the root follows. NaN for one unit; 0 for maps that do not vary.
        """
        if self.statistic in ("mean", "square"):
            return Estimate(self._average, moments, self._mean_and_error)
        center = jnp.mean(wide(self.unit(jnp.int32(0))), axis=0)

        def powers(number: Array) -> tuple[Array, ...]:
            deviations = wide(self.unit(number)) - center[None]
            a, b = jnp.mean(deviations, axis=0), jnp.mean(jnp.square(deviations), axis=0)
            return a, b, a * a, a * b, b * b

        return Estimate(powers, mean, self._variance_and_error)

    def _mean_and_error(self, units: Moments, n: Array | int) -> Diagnosed:
        figure = relative_standard_error(units, units.mean.ndim - self._score_axes)
        return units.mean.astype(self.x.dtype), {"stderr": figure}

    def _variance_and_error(self, means: tuple[Array, ...], n: Array | int) -> Diagnosed:
        a, b, aa, ab, bb = means
        found, units = jnp.maximum(b - a * a, 0), jnp.asarray(n, b.dtype)
        squared_error = jnp.maximum((bb - b * b) - 4 * a * (ab - a * b) + 4 * a * a * (aa - a * a), 0) / units
        if self.statistic == "std":
            squared_error = jnp.where(found > 0, squared_error / (4 * jnp.where(found > 0, found, 1)), 0)
            found = _root(found)
        over = tuple(range(self._score_axes, found.ndim))
        error, size = jnp.sqrt(jnp.sum(squared_error, axis=over)), jnp.sqrt(jnp.sum(jnp.square(found), axis=over))
        return found.astype(self.x.dtype), {"stderr": jnp.where((error == 0) & (units > 1), 0, error / size)}

    @property
    def _score_axes(self) -> int:
        return jax.eval_shape(self.f, self.x).ndim

    def _average(self, number: Array) -> Array:
        maps = wide(self.unit(number))
        return jnp.mean(jnp.square(maps) if self.statistic == "square" else maps, axis=0)

    def _center_and_rest(self, number: Array) -> tuple[Array, Array]:
        """Return the mean of a unit's maps, and their mean squared deviation from it."""
        maps = wide(self.unit(number))
        center = jnp.mean(maps, axis=0)
        if len(maps) == 1:
            return center, jnp.zeros((), maps.dtype)
        return center, jnp.mean(jnp.square(maps - center[None]), axis=0)


def _root(variance: Array) -> Array:
    """Return the square root, with a derivative of zero at zero."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)
