"""From a raw map to a picture of importance: sign, then channel pooling, then scale, each by name.

A raw map is signed, unscaled and keeps its channel axis. What is shown, averaged or ranked is made from it by three
recorded steps, the same ones everywhere. They work on NumPy and JAX arrays alike, since aggregation runs in float64
on the host. A map that is zero everywhere stays zero under every scale.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from jaxplain._errors import unknown

Sign = Literal["signed", "positive", "absolute"]
Pool = Literal["sum", "mean", "max", "norm"]
Scale = Literal["none", "max", "mass", "p99", "dataset_max", "dataset_p99"]


@dataclass(frozen=True)
class MapSteps:
    """The named steps from a raw map to a map of importance.

    Scaling per map is the default because a single corrupt image otherwise outweighs a rare label
    (Engelmann, Storkey and Bernabeu 2021, arXiv:2112.09591, divide by the maximum).

    Args:
        sign: "signed" keeps the map, "positive" is max(map, 0), "absolute" is |map|.
        pool: How channels become one: "sum", "mean", "max" (the value of largest magnitude) or "norm" (Euclidean).
        scale: Per map "max" (of |map|), "mass" (sum of |map|), "p99" (99th percentile of |map|) or "none";
            "dataset_max" and "dataset_p99" divide all maps by one number, found in a pass of its own.
    """

    sign: Sign = "absolute"
    pool: Pool = "sum"
    scale: Scale = "max"

    def __post_init__(self) -> None:
        for field, options in (("sign", Sign), ("pool", Pool), ("scale", Scale)):
            if getattr(self, field) not in get_args(options):
                raise unknown("MapSteps", field, getattr(self, field), get_args(options))

    @property
    def per_dataset(self) -> bool:
        """Whether the scale is one number for the whole data set."""
        return self.scale.startswith("dataset_")

    def __call__(self, maps: Any, *, channel_axis: bool, map_axes: int) -> Any:
        """Apply the steps to one map or a stack of maps.

        Args:
            maps: ``(..., *space[, channels])``.
            channel_axis: Whether the last axis holds channels, to be pooled.
            map_axes: Number of axes of one pooled map; scaling reduces over these.
        """
        maps = sign(maps, self.sign)
        if channel_axis:
            maps = pool(maps, self.pool)
        return maps if self.per_dataset else scale(maps, self.scale, axes=map_axes)


def sign(maps: Any, how: Sign) -> Any:
    """Keep the sign, the positive part or the absolute value of raw maps."""
    xp = maps.__array_namespace__()
    match how:
        case "signed":
            return maps
        case "positive":
            return xp.maximum(maps, xp.zeros((), dtype=maps.dtype))
        case "absolute":
            return abs(maps)
    raise unknown("maps.sign", "sign", how, get_args(Sign))


def pool(maps: Any, how: Pool) -> Any:
    """Reduce the channel axis, which is the last."""
    xp = maps.__array_namespace__()
    match how:
        case "sum":
            return xp.sum(maps, axis=-1)
        case "mean":
            return xp.mean(maps, axis=-1)
        case "max":
            largest = xp.argmax(abs(maps), axis=-1)
            return xp.squeeze(xp.take_along_axis(maps, xp.expand_dims(largest, axis=-1), axis=-1), axis=-1)
        case "norm":
            return xp.sqrt(xp.sum(maps * maps, axis=-1))
    raise unknown("maps.pool", "pooling", how, get_args(Pool))


def scale(maps: Any, how: Scale, *, axes: int) -> Any:
    """Divide every map by a number of its own; its last ``axes`` axes are one map."""
    if how == "none":
        return maps
    xp = maps.__array_namespace__()
    over = tuple(range(-axes, 0))
    size = abs(maps)
    match how:
        case "max":
            divisor = xp.max(size, axis=over, keepdims=True)
        case "mass":
            divisor = xp.sum(size, axis=over, keepdims=True)
        case "p99":
            divisor = xp.percentile(size, 99.0, axis=over, keepdims=True)
        case _:
            raise unknown("maps.scale", "scale", how, ("none", "max", "mass", "p99"))
    return divide(maps, divisor)


def divide(maps: Any, divisor: Any) -> Any:
    """Return ``maps / divisor``, and zero where the divisor is zero."""
    xp = maps.__array_namespace__()
    one = xp.ones((), dtype=maps.dtype)
    zero = xp.zeros((), dtype=maps.dtype)
    # A 99th percentile of zero may belong to a map that is not zero everywhere: it becomes a zero map as well.
    return xp.where(divisor == zero, zero, maps / xp.where(divisor == zero, one, divisor))
