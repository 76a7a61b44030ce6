"""SPMD jobs: processes that one launcher starts together, connected by ``jax.distributed``.

Each is a worker with a range of shards of its own, and computes on its own devices alone. They meet twice: before the
global maps, which the first one makes, and after them. JAX ends all of them when one dies; the same command goes on.
"""

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxplain._errors import InputError
from jaxplain.cli.rank import worker_of
from jaxplain.engine.stop import Stop
from jaxplain.engine.worker import Worker

AUTO = "auto"
LONGEST = 20 * 86400.0
"""Seconds that one process waits for the others; as milliseconds they fit into 31 bits."""

HEARTBEAT = 30
"""Seconds without a sign of a process after which JAX calls it dead and ends the others; its own default is 100."""
FAREWELL = 60
"""Seconds that processes wait for each other when they disconnect, after they have met; JAX's own default is 300."""
PAUSE = 0.1
"""Seconds between two looks at the wish to end."""


class Processes:
    """The processes of an SPMD job, as one of them sees them.

    Args:
        worker: Which of them this is.
    """

    def __init__(self, worker: Worker):
        self.worker = worker
        self._meetings, self.together = 0, True

    def meet(self, stop: Stop) -> bool:
        """Wait until all processes are here; False where somebody wishes for the end before.

        Raises:
            OSError: One of them is lost.
        """
        from jaxplain._compat import wait_for_processes

        self._meetings += 1
        failures = list[Exception]()

        def wait() -> None:
            try:
                wait_for_processes(f"jaxplain {self._meetings}", LONGEST)
            except RuntimeError as error:
                failures.append(error)

        # In a thread: a signal is handled between two of Python's instructions, and this wait is one.
        thread = threading.Thread(target=wait, name="jaxplain-meeting", daemon=True)
        thread.start()
        while thread.is_alive() and not stop.asked:
            thread.join(PAUSE)
        if failures:
            raise OSError(errno.ECONNABORTED, str(failures[0]), "another process of the job") from failures[0]
        self.together = self.together and not thread.is_alive()
        return self.together


@contextmanager
def connected(address: str | None, words: str | None) -> Iterator[Processes | None]:
    """Connect this process with the others of an SPMD job inside the block; before JAX computes anything.

    Args:
        address: ``host:port`` of the first process, ``auto`` to ask the environment as ``jax.distributed`` does, or
            None where there are no others.
        words: What the user said of the worker, see ``worker_of``; asked only where an address is given.

    Raises:
        InputError: The processes cannot be connected.
    """
    if address is None:
        yield None
        return
    if address != AUTO and not re.fullmatch(r"\S+:\d+", address):
        raise InputError(f"--distributed: {address!r} is no host:port, such as 10.0.0.1:1234; put the job file first.")
    import jax  # it takes seconds, which whoever runs alone sees the progress of

    limits: dict[str, Any] = {"heartbeat_timeout_seconds": HEARTBEAT, "shutdown_timeout_seconds": FAREWELL}
    try:
        if address == AUTO:
            jax.distributed.initialize(**limits)
        else:
            worker = worker_of(words, os.environ)
            jax.distributed.initialize(address, worker.count, worker.number, **limits)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"--distributed: {str(error).rstrip('.')}; name the first process by --distributed HOST:PORT and each by "
            "--worker I/N."
        ) from error
    processes = Processes(Worker(jax.process_index(), jax.process_count()))
    yield processes
    # It waits for the others, so not after an error, nor where somebody wished for the end.
    if processes.together:
        jax.distributed.shutdown()
