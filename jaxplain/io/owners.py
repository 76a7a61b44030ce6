"""Which running program something belongs to, and whether that program is gone for certain."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """A running program, as it names itself to others.

    Args:
        host: Name of its machine, for people.
        pid: Its number there.
        machine: Boot and name space in which that number means something; empty where the system does not tell.
        began: When it began, as the kernel counts; numbers are given out again.
        worker: Which worker of a job it is, such as ``2/4``, for people.
    """

    host: str = ""
    pid: int = 0
    machine: str = ""
    began: str = ""
    worker: str = ""

    @classmethod
    def here(cls, worker: str = "1/1") -> "Owner":
        """Return this program."""
        return cls(socket.gethostname(), os.getpid(), _machine(), _began(os.getpid()), worker)

    def __str__(self) -> str:
        return f"worker {self.worker} on {self.host} (pid {self.pid})"

    @property
    def on_this_machine(self) -> bool:
        """Whether its number can be looked up here."""
        return bool(self.machine) and self.machine == _machine()

    @property
    def gone(self) -> bool:
        """Whether it ran on this machine and runs no more; False where that cannot be known."""
        return self.on_this_machine and not _hidden(self.pid) and _began(self.pid) != self.began


@cache
def _machine() -> str:
    # Names of hosts repeat, and so do numbers in containers; a boot and a name space of numbers do not.
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """Return when a running program began, or nothing where none has this number; a zombie does not run."""
    try:
        # The name, in parentheses, may hold anything; what follows the last one is numbers.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _hidden(pid: int) -> bool:
    """Tell whether there is such a program, of another user, that the system does not show."""
    if (PROC / str(pid)).exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return False
