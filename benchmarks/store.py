"""The write path alone: whole shards through sink, checksums and markers, against TensorStore alone.

    python -m benchmarks.store [--megabytes 200] [--shards 2] [--pairs 7] [--size 224] [--folder DIR]

Shards of maps in float16 with their scales, as a run makes them of random gradients, are written by ``Shard.write``:
until they are durable, hashed and marked, as many at once as the run's writers do. TensorStore alone writes the
same arrays into arrays of the same metadata: once shard by shard, and once with two shards under way. The three come in
turn, every second time in reverse; the ratio is the seconds of the faster of TensorStore's two ways over ours. What
encoding to float16 costs before is told apart.

Aim: a ratio of at least 0.80.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from benchmarks.demo_job import open_place, smoothgrad_job
from benchmarks.record import RESULTS, facts, keep, rounded
from benchmarks.timing import Timings, verdict, with_interval
from jaxplain.engine.assignment import Claim
from jaxplain.engine.job import Job
from jaxplain.engine.plan import Plan
from jaxplain.engine.shard import Shard
from jaxplain.engine.stream import WRITERS
from jaxplain.io.arrays import ArraySpec

NAME = "smoothgrad"
AIM = 0.8
OURS, ALONE, TWO = "jaxplain", "tensorstore, one shard at a time", "tensorstore, two shards at once"


def arrays(rows: int, shards: int, size: int) -> list[ArraySpec]:
    """Return the arrays of maps and scales, as a run lays them out where a map is larger than a small chunk."""
    n, names = rows * shards, ("image", "y", "x", "channel")
    value = ArraySpec(f"maps/{NAME}/value", (n, size, size, 3), "float16", names, rows)
    return [value, ArraySpec(f"maps/{NAME}/scale", (n,), "float32", ("image",), rows, (rows,))]


def filled(number: int, maps: np.ndarray) -> Shard:
    """Return a shard with maps, encoded as a run does it."""
    shard = Shard(number, number * len(maps), len(maps), [NAME], Claim(number))
    shard.put_maps(slice(0, len(maps)), {NAME: (maps, {})}, np.ones(len(maps), bool), "float16", 0)  # type: ignore[dict-item]
    return shard


def ours(folder: Path, specs: list[ArraySpec], shards: list[Shard], job: Job) -> None:
    """Write and mark every shard."""
    place, _ = open_place(folder)
    place.sink.create(specs)
    plan = Plan(128, 1, "fast", shards[0].rows)
    with ThreadPoolExecutor(WRITERS) as writer:
        for shard in shards:
            shard.started = time.perf_counter()
        list(writer.map(lambda shard: shard.write(place, job, plan), shards))


def alone(folder: Path, specs: list[ArraySpec], shards: list[Shard], ahead: int) -> None:
    """Write every shard by TensorStore, with so many more under way while one is waited for."""
    made = {spec.path: _created(folder, spec) for spec in specs}
    under_way: deque[list[Any]] = deque()
    for shard in shards:
        rows = slice(shard.first_row, shard.first_row + shard.rows)
        writes = [
            made[path][rows].write(values, can_reference_source_data_indefinitely=True).commit
            for path, values in shard.arrays.items()
        ]
        under_way.append(writes)
        while len(under_way) > ahead:
            _finish(under_way.popleft())
    while under_way:
        _finish(under_way.popleft())


def _created(folder: Path, spec: ArraySpec) -> Any:
    kvstore = {"driver": "file", "path": f"{folder / spec.path}/"}
    return ts.open({"driver": "zarr3", "kvstore": kvstore, "metadata": spec.metadata(), "create": True}).result()


def _finish(writes: list[Any]) -> None:
    for write in writes:
        write.result()


def measure(megabytes: float, n_shards: int, pairs: int, size: int, folder: Path) -> dict[str, Any]:
    """Write the same shards in all three ways, in turn."""
    rows = max(1, round(megabytes * 1e6 / (size * size * 3 * 2)))
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(rows, size, size, 3)).astype(np.float32) for _ in range(n_shards)]
    began = time.perf_counter()
    shards = [filled(number, one) for number, one in enumerate(maps)]
    encoding = time.perf_counter() - began
    total = sum(values.nbytes for shard in shards for values in shard.arrays.values())
    del maps
    specs, job = arrays(rows, n_shards, size), smoothgrad_job()
    ways: dict[str, Callable[[Path], None]] = {
        OURS: lambda place: ours(place, specs, [_again(shard) for shard in shards], job),
        ALONE: lambda place: alone(place, specs, shards, 0),
        TWO: lambda place: alone(place, specs, shards, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    stored = 0
    for number in range(pairs + 1):  # the first time warms up and is not counted
        for name in reversed(ways) if number % 2 else ways:
            place = folder / f"{name.split(',')[0]}-{number}"
            began = time.perf_counter()
            ways[name](place)
            took = time.perf_counter() - began
            stored = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            shutil.rmtree(place)
            if number:
                seconds[name].append(took)
    timings = Timings(seconds)
    best = [min(pair) for pair in zip(seconds[ALONE], seconds[TWO], strict=True)]
    ratios = [one / other for one, other in zip(best, seconds[OURS], strict=True)]
    return {
        "size": size,
        "rows per shard": rows,
        "shards": n_shards,
        "bytes": total,
        "stored bytes": stored,
        "MB/s": {name: rounded(total / timings.median(name) / 1e6) for name in ways},
        "MB/s, encoding": rounded(total / encoding / 1e6),
        "seconds": timings.record(),
        "ratio": with_interval(ratios),
    }


def _again(shard: Shard) -> Shard:
    """Return a shard with the same values that nobody has written."""
    arrays, owners = dict(shard.arrays), dict(shard.owners)
    return Shard(shard.number, shard.first_row, shard.rows, shard.names, Claim(shard.number), arrays, owners)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=200.0, help="of one shard")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", type=int, default=224, help="height and width of the maps")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        found = measure(chosen.megabytes, chosen.shards, chosen.pairs, chosen.size, Path(temporary))
    for name, rate in found["MB/s"].items():
        print(f"{name:34} {rate:8,.0f} MB/s")
    print(f"{'encoding to float16, before':34} {found['MB/s, encoding']:8,.0f} MB/s of what is stored")
    ratio = found["ratio"]
    print(f"aim: ratio >= {AIM}: {ratio['median']:.2f}, {verdict(ratio, AIM)}")
    print(f"written to {keep('store', {**facts(), **found}, chosen.results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
