"""Workers that are killed, asked to end or cannot write: what is resumed ends with the bytes of an undisturbed worker.

    python -m benchmarks.crash [--rounds 200] [--on-s3 20] [--seed 0]

In a round 1, 2 or 4 workers share one store by `jaxplain run --worker i/n`. In one to three lives faults befall them:
SIGKILL or SIGTERM at a random moment, SIGKILL at a point of the work (lease taken, computed, between commit and marker,
among the global maps ...), a limit on the size of files, a full disk, a read-only output; half of the rounds as if
every worker had a machine of its own, so that only the heartbeat tells who is dead. A last life without faults must end
with exit code 0. After every life all that is marked must fit its checksums; in the end every file under ``maps/``,
``rows/`` and ``global/`` must equal the undisturbed store's, and every row must be marked once.

Full disks and read-only outputs are errors raised where the store is written to, since a campaign cannot mount file
systems; the limit on the size of files is the system's own. Some rounds have their store on S3, a server on this
machine (the extra ``s3``) behind a network on which requests are refused, slow, or cut off before or after they come
through.
"""

import argparse
import collections
import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import EXPECTED, Fault, drawn, install
from benchmarks.objectstore import BUCKET, Proxy, s3_server
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
NETWORK = ("500", "503", "reset", "lost", "slow")
NETWORK_RATE = 0.03
"""Share of the requests to S3 that fail, each in one of these ways."""


def network() -> Model:
    """The network of the job."""
    return small_cnn(SHAPE, classes=CLASSES)


def write_job(folder: Path, n: int) -> None:
    """Write the job and its images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=rng.integers(0, CLASSES, n))
    (folder / "job.toml").write_text(JOB)


def live(folder: str, words: tuple[str, ...], fault: Fault, far: bool, environ: dict[str, str]) -> None:
    """Be a worker, in a program of one's own."""
    os.chdir(folder)
    os.environ.update(environ)
    with open("log.txt", "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    install(fault, far=far)
    code = command(["run", "job.toml", *words])
    sys.stdout.flush()
    os._exit(code)


def run_life(folder: Path, faults: list[Fault], words: list[tuple[str, ...]], *, far: bool) -> list[int | None]:
    """Let workers live, strike those that are to be killed or asked to end, and return their exit codes."""
    # Every worker looks at this module again, which Python warns of.
    os.environ.setdefault("PYTHONWARNINGS", "ignore::RuntimeWarning:runpy")
    context = multiprocessing.get_context("forkserver")  # a worker has what it imports from the start
    context.set_forkserver_preload(["benchmarks.crash"])
    began = time.monotonic()
    # The server that workers are forked from keeps the environment of its own start.
    environ = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    workers = [
        context.Process(target=live, args=(str(folder), said, fault, far, environ))
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


def content(storage: Storage) -> dict[str, bytes | None]:
    """Return every file of arrays and global maps."""
    keys = [key for key in storage.list() if key.startswith(("maps/", "rows/", "global/"))]
    # A killed writer's file under way is no part of the store.
    keys = [key for key in keys if "__lock" not in key]
    return dict(zip(keys, storage.read_many(keys), strict=True))


def corrupt(storage: Storage) -> int:
    """Count the markers that vouch for what is not there."""
    ledger = Ledger(storage)
    return sum(bool(ledger.damaged(marker)) for name in NAMES for marker in ledger.finished(name).values())


def rows_marked(storage: Storage, n: int) -> tuple[int, int]:
    """Count the rows that are marked by no shard, and those that are by several, over all names."""
    ledger, lost, doubled = Ledger(storage), 0, 0
    for name in NAMES:
        times = np.zeros(n, int)
        for marker in ledger.finished(name).values():
            times[marker.first_row : marker.first_row + marker.rows] += 1
        lost, doubled = lost + int((times == 0).sum()), doubled + int((times > 1).sum())
    return lost, doubled


def one_round(
    folder: Path, url: str, want: dict[str, bytes | None], n: int, life: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Let faults befall workers on a store, resume, and say what came of it."""
    (folder / "log.txt").write_bytes(b"")
    storage, count, far = Storage.open(url), int(rng.choice([1, 2, 4])), bool(rng.integers(2))
    names = [("--set", f"output={url}", "--worker", f"{number + 1}/{count}") for number in range(count)]
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
        found["corrupt accepted"] += corrupt(storage)
    codes = run_life(folder, [Fault()] * count, [(*name, "--steal") for name in names], far=far)
    found["wrong exits"] += [["last", code] for code in codes if code != 0]
    got = content(storage)
    found["files that differ"] = sorted(key for key in {*want, *got} if want.get(key) != got.get(key))
    found["rows lost"], found["rows doubled"] = rows_marked(storage, n)
    found["corrupt accepted"] += corrupt(storage)
    found["leases left"] = len(storage.list("lease/"))
    return found


FAILINGS = ("wrong exits", "files that differ", "rows lost", "rows doubled", "corrupt accepted")


@contextlib.contextmanager
def network_of_faults(seed: int) -> Iterator[Proxy]:
    """Run a server of S3 behind a network that fails, and point this program's environment to it."""
    chance = random.Random(seed)
    with s3_server() as address:
        proxy = Proxy(address)
        proxy.plan = lambda method, path, number: chance.choice(NETWORK) if chance.random() < NETWORK_RATE else "ok"
        before = {name: os.environ.get(name) for name in proxy.environment()}
        os.environ.update(proxy.environment())
        try:
            yield proxy
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            proxy.stop()


def campaign(rounds: int, n: int, seed: int, on_s3: int = 0) -> dict[str, Any]:
    """Run rounds, the last of them on S3, and sum them up."""
    rng = np.random.default_rng(seed)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        proxy = stack.enter_context(network_of_faults(seed)) if on_s3 else None
        store = folder / "store"
        write_job(folder, n)
        for _ in range(2):  # the second time programs come from the compile cache, as in the rounds
            shutil.rmtree(store, ignore_errors=True)
            began = time.monotonic()
            codes = run_life(folder, [Fault()], [()], far=False)
            life = time.monotonic() - began
        if codes != [0]:
            raise RuntimeError(f"the undisturbed worker ended with {codes}:\n{(folder / 'log.txt').read_text()}")
        want = content(Storage.open(str(store)))
        failed, faults, left = [], collections.Counter[str](), 0
        workers = collections.Counter[str]()
        for number in range(rounds):
            shutil.rmtree(store, ignore_errors=True)
            url = f"s3://{BUCKET}/{number}" if number >= rounds - on_s3 else str(store)
            found = one_round(folder, url, want, n, life, rng)
            faults.update(found["faults"])
            workers[str(found["workers"])] += 1
            left += found["leases left"]
            wrong = {name: found[name] for name in FAILINGS if found[name]}
            if wrong:
                failed.append({"round": number, "store": url, **found, "log": (folder / "log.txt").read_text()[-4000:]})
            print(f"round {number + 1}/{rounds}: {wrong or 'as it should be'}; {len(failed)} failed", file=sys.stderr)
        network = {} if proxy is None else dict(proxy.faults)
    return {
        "rounds": rounds,
        "rounds on s3": on_s3,
        "seed": seed,
        "images": n,
        "seconds of one worker": round(life, 2),
        "rounds by workers": dict(workers),
        "faults": dict(faults),
        "faults of the network": network,
        "leases left by the last life": left,
        "failed": failed,
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--on-s3", type=int, default=20, help="how many of them, the last, have their store on S3")
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    found = {**facts(), **campaign(chosen.rounds, chosen.images, chosen.seed, chosen.on_s3)}
    for kind, times in sorted({**found["faults"], **found["faults of the network"]}.items()):
        print(f"{kind}: {times}")
    print(f"rounds that failed: {len(found['failed'])} of {found['rounds']}; written to {keep('crash', found)}")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
