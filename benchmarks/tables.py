"""The tables of the documents, written from the records.

    python -m benchmarks.tables           # rewrites README.md and benchmarks/README.md between the marks
    python -m benchmarks.tables --check   # exit status 1 if one is out of date

A mark names a table and the folder of its records: ``<!-- table: overhead cpu; ... -->``, and ``<!-- end of table -->``
ends it.
"""

import argparse
import collections
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.capacity import DEVICES, IMAGES, METHODS, STAGES, cluster_of, costs_of, enough, needs
from benchmarks.equal_error.table import HEAD as EQUAL_ERROR
from benchmarks.equal_error.table import rows as equal_error_rows
from benchmarks.gpu.table import parts
from benchmarks.overhead import AIM, counted
from benchmarks.record import RESULTS
from benchmarks.store import AIM as STORE_AIM
from benchmarks.summary import Records, lines, networks_of, short
from benchmarks.timing import cell, verdict

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
MARK = re.compile(r"(<!-- table: (\S+) (\S+); .*?-->\n)(.*?)(<!-- end of table -->)", re.DOTALL)


def measured(records: Records) -> str:
    """Return the summary: figures with their commands."""
    rows = [(what, figure, f"`python -m benchmarks.{name}`") for what, figure, name in lines(records)]
    return grid(("what", "figure", "command"), rows)


def overhead(found: dict[str, Any]) -> str:
    """Return every method against its bare passes."""
    head = ("network, method", "passes", "images/s", "of the bare passes", "without speed rules", "of the ceiling")
    rows = [
        (
            name,
            counted(row["passes"]),
            f"{row['images per second']['median']:.2f}",
            f"{cell(row['ratio'])} {verdict(row['ratio'], AIM)}",
            cell(row["ratio, without rules"]),
            f"{row['utilization']:.0%}",
        )
        for name, row in found["rows"].items()
    ]
    return grid(head, rows, numbers=1)


def compile_time(found: dict[str, Any]) -> str:
    """Return the compile times, cold and from the cache."""
    head = ("method", "cold, s", "of it traced and lowered", "first run, s", "from the cache, s", "peak, MB")
    rows = []
    for name, row in found["rows"].items():
        cold, warm = ({stage: one["median"] for stage, one in row[state]["seconds"].items()} for state in row)
        first = f"{cold['first run']:.1f}" if "first run" in cold else ""
        traced, peak = cold["trace"] + cold["lower"], row["cold"]["peak bytes"]["median"] / 1e6
        times = (f"{cold['compile time']:.1f}", f"{traced:.1f}", first, f"{warm['compile time']:.1f}")
        rows.append((name, *times, f"{peak:.0f}"))
    return grid(head, rows, numbers=1)


def sampling_memory(found: dict[str, Any]) -> str:
    """Return the memory of few samples beside that of many."""
    rows = []
    for name, row in found["rows"].items():
        few, many, ratios = row["few"], row["many"], row["ratios"]
        temporary = f"{few['temporary bytes'] / 1e3:.0f}, {many['temporary bytes'] / 1e3:.0f}"
        peak = f"{few['peak bytes'] / 1e6:.0f}, {many['peak bytes'] / 1e6:.0f}"
        met = "met" if max(ratios.values()) <= found["aim"] else "MISSED"
        rows.append((name, temporary, f"{ratios['compiled']:.3f}", peak, f"{ratios['process']:.3f} {met}"))
    few, many = (f"{n:,}" for n in found["samples"])
    head = ("method", f"temporary KB, {few} and {many} samples", "ratio", "peak MB of the process", "ratio")
    return grid(head, rows, numbers=1)


def gradients(found: dict[str, Any]) -> str:
    """Return the rewritten gradients against plain ones."""
    rows = [
        (name, *_seconds(row, "plain", "rewritten"), cell(row["ratio"]), short(row["relative L2 difference"]))
        for name, row in networks_of(found).items()
    ]
    return grid(("network", "plain, s", "rewritten, s", "plain / rewritten", "maps differ by"), rows, numbers=1)


def prefix(found: dict[str, Any]) -> str:
    """Return integrated gradients with a shared prefix against plain ones."""
    rows = [
        (
            name,
            *_seconds(row, "plain", "shared"),
            cell(row["gain"]),
            f"{row['ceiling']:.2f}",
            short(row["relative L2 difference"]),
        )
        for name, row in networks_of(found).items()
    ]
    head = ("network", "plain, s", "shared, s", "plain / shared", "at most", "maps differ by")
    return grid(head, rows, numbers=1)


def smoothdiff(found: dict[str, Any]) -> str:
    """Return SmoothDiff beside SmoothGrad."""
    rows = []
    for network, own in found["networks"].items():
        for name, row in own["methods"].items():
            figures = (row[figure]["median"] for figure in ("cosine", "distance"))
            passes = f"{row['forward passes']} + {row['backward passes']}"
            seconds = f"{row['seconds']['median']:.2g}"
            rows.append((f"{network}: {name}", *(f"{figure:.3f}" for figure in figures), seconds, passes))
    head = ("network: method, samples", "cosine", "relative L2", "s per image", "forward + backward passes")
    return grid(head, rows, numbers=1)


def equal_error(found: dict[str, Any]) -> str:
    """Return what methods take to the same error."""
    return grid(EQUAL_ERROR, equal_error_rows(found), numbers=2)


def kernels(found: dict[str, Any]) -> str:
    """Return the kernels against XLA's own forms: times and their ratio."""
    kinds = ("forward", "backward", "loop")
    rows = []
    for name, row in found["rows"].items():
        shown = [
            "{:.2f} / {:.2f} = {:.2f}".format(*row[kind]["milliseconds"], row[kind]["ratio"]["median"])
            if kind in row
            else ""
            for kind in kinds
        ]
        rows.append((name, *shown))
    return grid(("XLA ms / kernel ms", *kinds[:2], "backward in a loop"), rows, numbers=1)


def native(found: dict[str, Any]) -> str:
    """Return what the native distribution adds: milliseconds without and with it, of operations and of gradients."""
    rows = []
    for name, row in found.get("operations", {}).items():
        kinds = (row[kind] for kind in ("forward", "backward"))
        shown = ("{:.2f} / {:.2f} = ".format(*one["milliseconds"]) + cell(one["ratio"]) for one in kinds)
        rows.append((name, *shown))
    for name, row in found["networks"].items():
        without, own = (1e3 * float(seconds) for seconds in _seconds(row, "xla", "native"))
        rows.append((f"gradient of {name}", "", f"{without:.0f} / {own:.0f} = {cell(row['ratio'])}"))
    return grid(("ms without / ms with", "forward", "backward, or the gradient"), rows, numbers=1)


def against(found: dict[str, Any]) -> str:
    """Return the peers: their time over ours, and how far the maps agree."""
    head = ("network", "peer, method", "ours, s", "peer's, s", "peer / ours", "relative L2 of the maps")
    rows = []
    for network, cells in found["cells"].items():
        for name, row in cells.items():
            seconds = (f"{row['seconds'][side]['median']:.3f}" for side in ("jaxplain", "peer"))
            agreement = row["agreement"]
            differs = " (differs by definition)" if agreement["agrees"] is None else ""
            ratio = f"{cell(row['ratio'])} {verdict(row['ratio'], row['aim'])}"
            rows.append((network, name, *seconds, ratio, short(agreement["relative_l2"]) + differs))
    return grid(head, rows, numbers=2)


def peers(found: dict[str, Any]) -> str:
    """Return the peers in short: their time over ours, one column per network."""
    networks = list(found["cells"])
    names = dict.fromkeys(name for cells in found["cells"].values() for name in cells)
    rows = [
        (name, *(f"{cells[name]['ratio']['median']:.2f}" if name in cells else "" for cells in found["cells"].values()))
        for name in names
    ]
    return grid(("peer's time / ours", *networks), rows, numbers=1)


def formats(found: dict[str, Any]) -> str:
    """Return what float16 loses beside float32, and the bytes of both."""
    head = (
        "family: method",
        "relative L2, median",
        "largest",
        "largest entry, of its bound",
        "bytes, float16",
        "float32",
    )
    rows = [
        (
            f"{name}: {row['method']}",
            *(f"{row[figure]:.1e}" for figure in ("relative L2, median", "relative L2, largest")),
            f"{row['of the bound, largest']:.2f}",
            *(f"{row[f'bytes per image, {kind}']:,}" for kind in ("float16", "float32")),
        )
        for name, row in found["rows"].items()
    ]
    return grid(head, rows, numbers=1)


def store(found: dict[str, Any]) -> str:
    """Return the write path beside TensorStore alone."""
    rows = [(name, f"{rate:,.0f}", "") for name, rate in found["MB/s"].items()]
    rows[0] = (*rows[0][:2], f"{cell(found['ratio'])} {verdict(found['ratio'], STORE_AIM)}")
    return grid(("shards written by", "MB/s", "TensorStore's time / ours"), rows, numbers=1)


def scale(found: dict[str, Any]) -> str:
    """Return memory and cost by the number of images."""
    rows = [
        (
            f"{row['images']:,}",
            ", ".join(f"{peak:,}" for peak in row["peak memory (MB)"]),
            f"{row['images/s']:,.0f}",
            f"{1e3 * row['seconds per image']:.3g}",
            f"{row['store bytes'] / 1e6:,.0f}",
            f"{row['finalize seconds']:.1f}",
        )
        for row in found["rows"]
        if row["images/s"]
    ]
    head = ("images", "peak of each worker, MB", "images/s", "ms of a worker per image", "store, MB", "global maps, s")
    return grid(head, rows, numbers=1)


def crash(found: dict[str, Any]) -> str:
    """Return what befell workers how often, and how many rounds ended with other bytes."""
    faults = collections.Counter[str]()
    for kind, times in found["faults"].items():
        if kind != "none":
            faults[kind.partition(":")[0]] += times
    network = found["faults of the network"]
    points = sum(kind.startswith("killed at a point") for kind in found["faults"])
    rows = [(f"{kind} ({points} points)" if "point" in kind else kind, f"{faults[kind]:,}") for kind in sorted(faults)]
    rows.append(("requests to S3 that failed or were slow", f"{sum(network.values()):,}"))
    rows.append(("rounds that failed", f"{len(found['failed'])} of {found['rounds']} ({found['rounds on s3']} on S3)"))
    return grid(("what befell the workers", "times"), rows, numbers=1)


def capacity(found: dict[str, Any]) -> str:
    """Return what many images need on many devices: hours by stage, their total, and what takes longest."""
    rows, remarks = [], []
    for method in METHODS:
        costs = costs_of(found, method)
        for images in IMAGES:
            for devices in DEVICES:
                one = needs(images, costs, cluster_of(found, devices))
                hours = (f"{one.seconds[stage] / 3600:,.2f}" for stage in STAGES)
                ends = (f"{one.total / 3600:,.2f}", one.first, f"{one.stored / 1e12:,.1f}")
                rows.append((f"{method}, {images:,}", f"{devices:,}", *hours, *ends))
        remarks.append(f"{method}: {enough(costs, cluster_of(found, 1)):,.0f} devices")
    head = ("method, images", "devices", *(f"{stage}, h" for stage in STAGES), "total, h", "longest", "store, TB")
    cost, storage = found["costs"], found["machine"]["storage"]
    steps = "; ".join(f"{name} {seconds:.2g} s" for name, seconds in cost["step"].items())
    remark = (
        f"Beyond this the devices take the smaller part of the time: {'; '.join(remarks)}.\n"
        f"Measured, of an image: decoding {1e3 * cost['decode']:.2g} ms of a core; device step, {steps}; "
        f"{cost['stored'] / 1e3:.0f} kB stored; global maps {1e3 * cost['finalize']:.2g} ms. Write path of a worker "
        f"{cost['write'] / 1e6:.0f} MB/s. Assumed: storage of {storage / 1e9:g} GB/s."
    )
    return f"{grid(head, rows, numbers=1)}\n\n{remark}"


def gpu(found: dict[str, Any]) -> str:
    """Return the accelerator's rows, part by part, each under the columns that it has."""
    return "\n\n".join(grid(head, rows, numbers=1) for head, rows in parts(found))


OF_ONE_RECORD: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "overhead": ("overhead", overhead),
    "compile_time": ("compile_time", compile_time),
    "sampling_memory": ("sampling_memory", sampling_memory),
    "gradients": ("gradients", gradients),
    "prefix": ("prefix", prefix),
    "smoothdiff": ("smoothdiff", smoothdiff),
    "equal_error": ("equal_error", equal_error),
    "kernels": ("kernels", kernels),
    "native": ("native", native),
    "against": ("against", against),
    "against_native": ("against_native", against),
    "peers": ("against", peers),
    "peers_native": ("against_native", peers),
    "formats": ("formats", formats),
    "store": ("store", store),
    "crash": ("crash", crash),
    "scale": ("scale", scale),
    "capacity": ("capacity", capacity),
    "gpu": ("gpu", gpu),
}
"""The tables beside ``measured``: the record of each, and what writes it."""


def table(name: str, records: Records) -> str:
    """Return a table with, where it is of one record, a line that says with what it was measured.

    Raises:
        KeyError: There is no such table.
    """
    if name == "measured":
        return measured(records)
    record, write = OF_ONE_RECORD[name]
    if record not in records:
        return f"Not measured yet: `{command(record)}`."
    return f"{write(records[record])}\n\n{origin(record, records[record])}"


def origin(name: str, found: dict[str, Any]) -> str:
    """Return the command, commit, machine and versions of a record."""
    changed = " and changes" if found.get("changed") else ""
    settings = [f"{name} {found[name]}" for name in ("precision", "batch", "size", "samples", "steps") if name in found]
    versions = [
        f"{package} {found['versions'][package]}"
        for package in ("jax", "jaxlib", "jaxplain-native")
        if package in found["versions"]
    ]
    peers = [f"{package} {version}" for package, version in found.get("peers", {}).items()]
    words = [f"`{command(name)}`", f"commit `{(found['commit'] or 'unknown')[:12]}`{changed}"]
    return "; ".join([*words, ", ".join([found["processor"], found["device"]]), ", ".join(versions + peers + settings)])


def command(record: str) -> str:
    """Return what writes a record."""
    return "benchmarks/gpu.sh" if record == "gpu" else f"python -m benchmarks.{record.removesuffix('_native')}"


def grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, numbers: int | None = None) -> str:
    """Return a Markdown table; columns from ``numbers`` on are aligned right."""
    aligned = ["---" if numbers is None or column < numbers else "--:" for column in range(len(head))]
    body = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([body[0], "|" + "|".join(aligned) + "|", *body[1:]])


def _seconds(row: dict[str, Any], *forms: str) -> tuple[str, ...]:
    return tuple(f"{row[f'seconds, {form}']['median']:.3f}" for form in forms)


def load(device: str) -> Records:
    """Return the records of a device by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (RESULTS / device).glob("*.json")}


def written(text: str, read: Callable[[str], Records] = load) -> str:
    """Return a document with its tables written anew."""
    return MARK.sub(lambda found: f"{found[1]}{table(found[2], read(found[3]))}\n{found[5]}", text)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; tell whether a table is out of date")
    check = parser.parse_args().check
    stale = 0
    for place in DOCUMENTS:
        text = place.read_text(encoding="utf-8")
        new = written(text)
        if new != text:
            stale += 1
            what = "out of date; run python -m benchmarks.tables" if check else "written"
            print(f"{place.relative_to(ROOT)}: {what}")
            if not check:
                place.write_text(new, encoding="utf-8")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
