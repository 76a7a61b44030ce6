"""A run killed by SIGKILL at random moments and resumed each time ends with the bytes of an undisturbed run.

    python -m benchmarks.kill [--kills 20] [--images 20000]

A worker process runs SmoothGrad-16 with the demo's network into a store and is killed; the next worker goes on. The
moment is drawn uniformly from half the start-up (imports, planning, compilation) of an undisturbed worker to its
start-up plus its working time over the number of kills, so that every life is cut, some before any work, and about
half of the work is left for one last worker, which runs to the end.

Every file under ``maps/`` and ``rows/`` must equal the undisturbed store's, byte by byte, and every
marker's checksums must fit the stored rows.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.demo_job import open_images, open_place, smoothgrad_job, write_images
from benchmarks.record import facts, keep
from jaxplain.engine.run import run
from jaxplain.io.ledger import Ledger
from jaxplain.io.storage import Storage

BATCH, ROWS = 50, 200


def work(images: Path, store: Path) -> None:
    """Run the job in this process, to the end or until it is killed."""
    where, _ = open_place(store)
    run(smoothgrad_job(batch=BATCH, rows_per_shard=ROWS), open_images(images), where)


def start(images: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start a worker."""
    words = [sys.executable, "-m", "benchmarks.kill", "--work", str(images), str(store)]
    return subprocess.Popen(words, cwd=Path(__file__).parent.parent)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of the arrays."""
    kept = (folder / "maps", folder / "rows")
    files = [path for top in kept for path in top.rglob("*") if path.is_file()]
    # A killed writer's temporary file is no part of the store.
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "__lock" not in path.name}


def undisturbed(images: Path, store: Path) -> tuple[float, float]:
    """Let a worker run to the end; return the seconds to its first finished shard and to its end."""
    began = time.perf_counter()
    worker, first = start(images, store), None
    while worker.poll() is None:
        if first is None and any((store / "done").rglob("*.json")):
            first = time.perf_counter() - began
        time.sleep(0.01)
    length = time.perf_counter() - began
    return (length if first is None else first), length


def campaign(kills: int, n: int, seed: int) -> dict[str, Any]:
    """Kill and resume, and compare with an undisturbed run."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = write_images(folder, n)
        startup, length = undisturbed(images, folder / "undisturbed")
        survived, shards = 0, []
        for _ in range(kills):
            worker = start(images, folder / "killed")
            try:
                worker.wait(timeout=float(rng.uniform(startup / 2, startup + (length - startup) / kills)))
                survived += 1
            except subprocess.TimeoutExpired:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            ledger = Ledger(Storage.open(str(folder / "killed")))
            shards.append(len(ledger.finished("smoothgrad")))
        last = start(images, folder / "killed").wait()
        want, got = content(folder / "undisturbed"), content(folder / "killed")
        ledger = Ledger(Storage.open(str(folder / "killed")))
        markers = [marker for name in ("rows", "smoothgrad") for marker in ledger.finished(name).values()]
        return {
            "kills": kills - survived,
            "finished before the kill": survived,
            "seconds undisturbed": {"to the first shard": round(startup, 2), "to the end": round(length, 2)},
            "shards finished after each kill": shards,
            "exit code of the last worker": last,
            "files": len(want),
            "files that differ": sorted(key for key in {*want, *got} if want.get(key) != got.get(key)),
            "markers": len(markers),
            "markers that do not fit": sum(bool(ledger.damaged(marker)) for marker in markers),
        }


def passed(found: dict[str, Any]) -> bool:
    """Tell whether nothing was lost and nothing differs."""
    return not (found["files that differ"] or found["markers that do not fit"] or found["exit code of the last worker"])


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(*chosen.work)
        return 0
    found = {**facts(), "images": chosen.images, **campaign(chosen.kills, chosen.images, chosen.seed)}
    for name in ("kills", "finished before the kill", "shards finished after each kill", "files", "files that differ"):
        print(f"{name}: {found[name]}")
    print(f"markers that do not fit: {found['markers that do not fit']} of {found['markers']}")
    print(f"bit-identical to the undisturbed run: {passed(found)}; written to {keep('kill', found)}")
    return 0 if passed(found) else 1


if __name__ == "__main__":
    sys.exit(main())
