"""What the README says was measured: one line per claim, its figures taken from the records."""

from collections.abc import Callable, Mapping
from typing import Any

Records = Mapping[str, dict[str, Any]]
Line = tuple[str, str, str]
"""What was measured, the figure, the benchmark."""


def _engine(records: Records) -> list[Line]:
    found = records["engine"]
    low, high = found["ratio"]["quartiles"]
    lines = [
        (
            f"whole run over the bare compiled method, SmoothGrad-16, small CNN, {found['images']:,} images",
            f"{found['ratio']['median']:.2f} of its images/s (quartiles {low:.2f} to {high:.2f})",
            "engine",
        )
    ]
    if "peak bytes" in found:
        few, many = (int(name) for name in found["peak bytes"] if name != "ratio")
        few, many = sorted((few, many))
        lines.append(
            (f"peak memory at {many:,} images over that at {few:,}", f"{found['peak bytes']['ratio']:.2f}", "engine")
        )
    return lines


def _kill(records: Records) -> list[Line]:
    found = records["kill"]
    return [
        (
            f"{found['kills']} kills at random moments, then resumed: files that differ from an undisturbed run",
            f"{len(found['files that differ'])} of {found['files']}",
            "kill",
        )
    ]


def _invariance(records: Records) -> list[Line]:
    found = records["invariance"]["methods"].values()
    largest = max(one["smooth, largest"] for one in found if one["smooth, largest"] is not None)
    return [
        (
            "maps for batches of 1, 7, 64 and chunks of 1, 3, all: largest relative difference, smooth network",
            short(largest),
            "invariance",
        )
    ]


def _gradients(records: Records) -> list[Line]:
    found = records["gradients"]
    networks = networks_of(found)
    return [
        (
            f"gradient of {found['batch']} images of {found['size']}x{found['size']}, float32, over plain `jax.grad`: "
            + "; ".join(networks),
            "; ".join(f"{row['ratio']['median']:.2f} x" for row in networks.values()) + " as fast",
            "gradients",
        )
    ]


def _prefix(records: Records) -> list[Line]:
    found = records["prefix"]
    networks = networks_of(found)
    most = "; ".join(f"{row['ceiling']:.2f}" for row in networks.values())
    return [
        (
            f"integrated gradients, {found['steps']} steps, what is affine in the image shared between steps, over "
            "plain: " + "; ".join(networks),
            "; ".join(f"{row['gain']['median']:.2f} x" for row in networks.values())
            + f" as fast (at most possible: {most})",
            "prefix",
        )
    ]


def _smoothdiff(records: Records) -> list[Line]:
    found = records["smoothdiff"]["networks"]["resnet18"]
    names = ("smoothgrad, 16", "smoothdiff, 16", "smoothgrad, 64", "smoothdiff, 64")
    figures = ((found["methods"][name]["distance"], found["methods"][name]["seconds"]) for name in names)
    size = "x".join(str(length) for length in found["shape"][1:3])
    return [
        (
            f"distance to SmoothGrad with {found['reference']['samples']:,} samples, resnet18 at {size}, random "
            f"weights: {'; '.join(names).replace(',', '')}",
            "; ".join(f"{distance['median']:.2f} in {seconds['median']:.2g} s" for distance, seconds in figures),
            "smoothdiff",
        )
    ]


def _planted(records: Records) -> list[Line]:
    found = records["planted"]
    means = {row["name"]: row["mean"] for row in found["criteria"]}
    return [
        (
            f"PEPPR on {len(found['seeds'])} generated sets with planted truth, restore minus erase area: macro map; "
            "random orders",
            f"{means['gap, macro map']:+.3f}; {means['gap, random orders']:+.3f}",
            "planted",
        )
    ]


def _overhead(records: Records) -> list[Line]:
    found = records["overhead"]
    ratios = {name: row["ratio"]["median"] for name, row in found["rows"].items()}
    worst, best = min(ratios, key=lambda name: ratios[name]), max(ratios, key=lambda name: ratios[name])
    return [
        (
            f"{len(ratios)} pairs of network and method: images/s over those of the bare passes that each takes, "
            f"{found['batch']} images of {found['size']}x{found['size']}; worst; best",
            f"{ratios[worst]:.2f} ({worst}); {ratios[best]:.2f} ({best})",
            "overhead",
        )
    ]


def _compile_time(records: Records) -> list[Line]:
    found = records["compile_time"]
    longest = [
        max(row[state]["seconds"]["compile time"]["median"] for row in found["rows"].values())
        for state in ("cold", "warm")
    ]
    return [
        (
            f"compile time of {len(found['rows'])} methods on {found['network']}, the longest: cold; from the cache",
            "; ".join(f"{seconds:.1f} s" for seconds in longest),
            "compile_time",
        )
    ]


def _store(records: Records) -> list[Line]:
    found = records["store"]
    return [
        (
            f"write path with digests and markers over TensorStore alone, shards of {found['rows per shard']} maps of "
            f"{found['size']}x{found['size']}",
            f"{found['ratio']['median']:.2f} of its MB/s",
            "store",
        )
    ]


def _scale(records: Records) -> list[Line]:
    found = records["scale"]
    counts = [row["images"] for row in found["rows"]]
    many = f"{found['workers']} workers, {counts[0]:,} to {counts[-1]:,} images"
    lines = []
    if found["peak memory, last over first"] is not None:
        peak = f"{found['peak memory, last over first']:.2f}"
        lines.append((f"largest peak memory of a worker at {counts[-1]:,} images over that at 10,000", peak, "scale"))
    if found["cost, largest drift"] is not None:
        lines.append((f"{many}: largest drift of the cost of an image", f"{found['cost, largest drift']:.0%}", "scale"))
    return lines


LINES: dict[str, Callable[[Records], list[Line]]] = {
    "engine": _engine,
    "kill": _kill,
    "invariance": _invariance,
    "gradients": _gradients,
    "prefix": _prefix,
    "smoothdiff": _smoothdiff,
    "overhead": _overhead,
    "compile_time": _compile_time,
    "planted": _planted,
    "store": _store,
    "scale": _scale,
}
"""By the record that each needs."""


def lines(records: Records) -> list[Line]:
    """Return what the records at hand tell."""
    return [line for name, tell in LINES.items() if name in records for line in tell(records)]


def networks_of(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rows of a record whose entries are networks."""
    return {name: row for name, row in found.items() if isinstance(row, dict) and name != "versions"}


def short(value: float) -> str:
    """Return a small figure with two digits: ``5.6e-6``."""
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}e{int(exponent)}"
