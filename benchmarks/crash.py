"""Workers that are killed, asked to end or cannot write: what is resumed ends with the bytes of an undisturbed worker.

    python -m benchmarks.crash [--rounds 200] [--seed 0]

In a round 1, 2 or 4 workers share one store by `jaxplain run --worker i/n`. In one to three lives faults befall them:
SIGKILL or SIGTERM at a random moment, SIGKILL at a point of the work (lease taken, computed, between commit and marker,
among the global maps ...), a limit on the size of files, a full disk, a read-only output; half of the rounds as if
every worker had a machine of its own, so that only the heartbeat tells who is dead. A last life without faults must end
with exit code 0. After every life all that is marked must fit its checksums; in the end every file under ``maps/``,
``rows/`` and ``global/`` must equal the undisturbed store's, and every row must be marked once.

Full disks and read-only outputs are errors raised where the store is written to, since a campaign cannot mount file
systems; the limit on the size of files is the system's own.
"""

import argparse
import collections
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import EXPECTED, Fault, drawn, install
from benchmarks.record import facts, keep
from jaxplain.cli.main import main as command
from jaxplain.core.model import Model
from jaxplain.io.ledger import Ledger
from jaxplain.io.storage import Storage
from jaxplain.models.small import small_cnn

NAMES = ("rows", "gradient", "sg")
SHAPE = (12, 12, 1)
CLASSES = 4
JOB = """\
output = "store"
[model]
factory = "benchmarks.crash:network"
[source]
url = "npz://images.npz"
[input]
divisor = 255
[methods.gradient]
[methods.sg]
method = "smoothgrad"
n_samples = 48
[plan]
batch = 4
chunk = 8
rows_per_shard = 8
[run]
compile_cache = "programs"
"""
PATIENCE = 300.0
"""Seconds after which a worker counts as hanging."""


def network() -> Model:
    """The network of the job."""
    return small_cnn(SHAPE, classes=CLASSES)


def write_job(folder: Path, n: int) -> None:
    """Write the job and its images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=rng.integers(0, CLASSES, n))
    (folder / "job.toml").write_text(JOB)


def live(folder: str, words: tuple[str, ...], fault: Fault, far: bool) -> None:
    """Be a worker, in a program of one's own."""
    os.chdir(folder)
    with open("log.txt", "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    install(fault, far=far)
    code = command(["run", "job.toml", *words])
    sys.stdout.flush()
    os._exit(code)


def run_life(folder: Path, faults: list[Fault], words: list[tuple[str, ...]], *, far: bool) -> list[int | None]:
    """Let workers live, strike those that are to be killed or asked to end, and return their exit codes."""
    context = multiprocessing.get_context("forkserver")  # a worker has what it imports from the start
    context.set_forkserver_preload(["benchmarks.crash"])
    began = time.monotonic()
    workers = [
        context.Process(target=live, args=(str(folder), said, fault, far))
        for said, fault in zip(words, faults, strict=True)
    ]
    for worker in workers:
        worker.start()
    signals = {"killed": signal.SIGKILL, "asked to end": signal.SIGTERM}
    for fault, worker in sorted(zip(faults, workers, strict=True), key=lambda pair: pair[0].seconds):
        if fault.kind in signals:
            worker.join(max(0.0, began + fault.seconds - time.monotonic()))
            if worker.is_alive():
                os.kill(worker.pid or 0, signals[fault.kind])
    for worker in workers:
        worker.join(PATIENCE)
        if worker.is_alive():
            worker.kill()
            worker.join()
            return [None]
    return [worker.exitcode for worker in workers]


def content(store: Path) -> dict[str, bytes]:
    """Return every file of arrays and global maps."""
    files = [path for top in ("maps", "rows", "global") for path in (store / top).rglob("*") if path.is_file()]
    # A killed writer's file under way is no part of the store.
    return {str(path.relative_to(store)): path.read_bytes() for path in files if "__lock" not in path.name}


def corrupt(store: Path) -> int:
    """Count the markers that vouch for what is not there."""
    ledger = Ledger(Storage.open(str(store)))
    return sum(bool(ledger.damaged(marker)) for name in NAMES for marker in ledger.finished(name).values())


def rows_marked(store: Path, n: int) -> tuple[int, int]:
    """Count the rows that are marked by no shard, and those that are by several, over all names."""
    ledger, lost, doubled = Ledger(Storage.open(str(store))), 0, 0
    for name in NAMES:
        times = np.zeros(n, int)
        for marker in ledger.finished(name).values():
            times[marker.first_row : marker.first_row + marker.rows] += 1
        lost, doubled = lost + int((times == 0).sum()), doubled + int((times > 1).sum())
    return lost, doubled


def one_round(folder: Path, want: dict[str, bytes], n: int, life: float, rng: np.random.Generator) -> dict[str, Any]:
    """Let faults befall workers, resume, and say what came of it."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    (folder / "log.txt").write_bytes(b"")
    count, far = int(rng.choice([1, 2, 4])), bool(rng.integers(2))
    names = [("--worker", f"{number + 1}/{count}") for number in range(count)]
    found: dict[str, Any] = {"workers": count, "far": far, "faults": [], "wrong exits": [], "corrupt accepted": 0}
    for _ in range(rng.integers(1, 4)):
        faults = [drawn(rng, life * (1 + count / 2)) if rng.random() < 0.8 else Fault() for _ in range(count)]
        steals = [("--steal",) if rng.integers(2) else () for _ in range(count)]
        grace = ("--grace", str(float(rng.choice([0.0, 1.0, 20.0]))))
        words = [(*name, *steal, *grace) for name, steal in zip(names, steals, strict=True)]
        codes = run_life(folder, faults, words, far=far)
        for fault, code in zip(faults, codes, strict=len(codes) == count):
            found["faults"].append(f"{fault.kind}: {fault.point}" if fault.kind == "killed at a point" else fault.kind)
            if code not in EXPECTED[fault.kind]:
                found["wrong exits"].append([fault.kind, code])
        found["corrupt accepted"] += corrupt(store)
    codes = run_life(folder, [Fault()] * count, [(*name, "--steal") for name in names], far=far)
    found["wrong exits"] += [["last", code] for code in codes if code != 0]
    got = content(store)
    found["files that differ"] = sorted(key for key in {*want, *got} if want.get(key) != got.get(key))
    found["rows lost"], found["rows doubled"] = rows_marked(store, n)
    found["corrupt accepted"] += corrupt(store)
    found["leases left"] = len(list((store / "lease").rglob("*.json")))
    return found


FAILINGS = ("wrong exits", "files that differ", "rows lost", "rows doubled", "corrupt accepted")


def campaign(rounds: int, n: int, seed: int) -> dict[str, Any]:
    """Run rounds and sum them up."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_job(folder, n)
        for _ in range(2):  # the second time programs come from the compile cache, as in the rounds
            shutil.rmtree(folder / "store", ignore_errors=True)
            began = time.monotonic()
            codes = run_life(folder, [Fault()], [()], far=False)
            life = time.monotonic() - began
        if codes != [0]:
            raise RuntimeError(f"the undisturbed worker ended with {codes}:\n{(folder / 'log.txt').read_text()}")
        want = content(folder / "store")
        failed, faults, left = [], collections.Counter[str](), 0
        workers = collections.Counter[str]()
        for number in range(rounds):
            found = one_round(folder, want, n, life, rng)
            faults.update(found["faults"])
            workers[str(found["workers"])] += 1
            left += found["leases left"]
            if any(found[name] for name in FAILINGS):
                failed.append({"round": number, **found, "log": (folder / "log.txt").read_text()[-4000:]})
            print(f"round {number + 1}/{rounds}: {len(failed)} failed", file=sys.stderr)
    return {
        "rounds": rounds,
        "seed": seed,
        "images": n,
        "seconds of one worker": round(life, 2),
        "rounds by workers": dict(workers),
        "faults": dict(faults),
        "leases left by the last life": left,
        "failed": failed,
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = {**facts(), **campaign(chosen.rounds, chosen.images, chosen.seed)}
    for kind, times in sorted(found["faults"].items()):
        print(f"{kind}: {times}")
    print(f"rounds that failed: {len(found['failed'])} of {found['rounds']}; written to {keep('crash', found)}")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
