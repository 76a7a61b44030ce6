"""A writer killed at any moment leaves marked shards whole, and the rest can be redone."""

import random
import signal
import subprocess
import sys
import time

import numpy as np

from jaxplain.io.arrays import ArraySpec
from jaxplain.io.ledger import Ledger, Marker, checksum
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage

N_SHARDS, ROWS, SHAPE = 40, 8, (64, 64)
PATH = "maps/m/value"


def values_of(shard):
    """The values of a shard, always the same."""
    return np.random.default_rng(shard).normal(size=(ROWS, *SHAPE)).astype(np.float32)


def write(folder):
    """Write what is not finished, as a worker does: values, then the marker."""
    storage = Storage.open(folder)
    sink, ledger = StoreSink(storage), Ledger(storage)
    sink.create([ArraySpec(PATH, (N_SHARDS * ROWS, *SHAPE), "float32", ("image", "y", "x"), ROWS)])
    sys.stdout.write("started\n")
    sys.stdout.flush()
    for shard in sorted(set(range(N_SHARDS)) - set(ledger.finished("m"))):
        values = values_of(shard)
        sink.write(PATH, shard * ROWS, values).result()
        # Seconds differ from run to run, as they do in real markers: an older, longer text must not shine through.
        facts = {"seconds": random.random() * 10 ** random.randint(-9, 9)}
        ledger.mark(Marker("m", shard, shard * ROWS, ROWS, {PATH: checksum(values)}, facts=facts))


def test_a_killed_writer_leaves_nothing_half_written_that_counts(tmp_path):
    folder = tmp_path / "store"
    ledger = Ledger(Storage.open(folder))
    n_finished = []
    for _ in range(6):
        worker = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE)
        worker.stdout.readline()
        time.sleep(random.uniform(0, 0.06))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        markers = ledger.finished("m")
        assert all(ledger.damaged(marker) == [] for marker in markers.values())
        n_finished.append(len(markers))
    assert n_finished == sorted(n_finished)
    done = subprocess.run([sys.executable, __file__, str(folder)], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert list(ledger.finished("m")) == list(range(N_SHARDS))
    array = Storage.open(folder).open_array(PATH)
    for shard in range(N_SHARDS):
        np.testing.assert_array_equal(array.read(slice(shard * ROWS, (shard + 1) * ROWS)), values_of(shard))


if __name__ == "__main__":
    write(sys.argv[1])
