"""Who works on what: a lease per shard, created exclusively, kept alive by a heartbeat, taken over from the dead.

A lease is ``lease/<what>.<generation>.json``; the highest generation holds. Its owner raises a counter in it every
period. Whoever wants the shard and has itself watched the same counter for three periods of its own clock, or sees that
the owner's program runs no more on its own machine, creates the next generation. Clocks of two machines are never
compared, and a mistake costs time only: both would write the same bytes, and a marker is created exclusively.
"""

import contextlib
import json
import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from jaxplain.io.claims import claim
from jaxplain.io.owners import Owner
from jaxplain.io.storage import Storage

PREFIX = "lease/"
PERIOD = 10.0
"""Seconds between two heartbeats."""
PATIENCE = 3
"""Periods without a heartbeat after which a lease is dead."""
_FAREWELL = 2.0


@dataclass(frozen=True)
class Lease:
    """What a lease says.

    Args:
        nonce: Tells it from every other lease.
        counter: How often its owner has raised it.
        period: Seconds between two raises.
        owner: Who holds it.
    """

    nonce: str
    counter: int = 0
    period: float = PERIOD
    owner: Owner = field(default_factory=Owner)

    @property
    def seconds(self) -> float:
        """About how long it has been held."""
        return self.counter * self.period


@dataclass(frozen=True)
class Met:
    """Somebody else's lease.

    Args:
        lease: What it says.
        alive: Whether its owner is known to work: its program runs on this machine, or its counter was seen to rise.
    """

    lease: Lease
    alive: bool


class Leases:
    """The leases of one worker in a store. A thread raises their counters while any is held.

    Args:
        storage: The store.
        owner: Who takes them; this program by default.
        period: Seconds between two heartbeats; the same for all workers of a store.
        clock: Seconds that only go forward; this worker's own.
    """

    def __init__(
        self,
        storage: Storage,
        owner: Owner | None = None,
        *,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.storage, self.owner, self.period = storage, owner or Owner.here(), period
        self._clock = clock
        self._held: set[Held] = set()
        self._watched: dict[str, _Watched] = {}
        self._heart: _Heart | None = None

    def take(self, what: str) -> "Held | Met":
        """Hold something, or tell who does.

        Args:
            what: Path of the lease, such as ``000012``.

        Raises:
            OSError: The store cannot be written.
        """
        for _ in range(2):
            generation = self._highest(what)
            lease = self._read(what, generation)
            if lease is not None and (met := self._judged(what, generation, lease)) is not None:
                return met
            mine = Lease(uuid.uuid4().hex, 0, self.period, self.owner)
            if claim(self.storage, _key(what, generation + 1), _dump(mine)):
                self._watched.pop(what, None)
                held = Held(self, what, generation + 1, mine)
                self._held.add(held)
                if self._heart is None:
                    self._heart = _Heart(self._held, self.period)
                return held
            # Somebody was faster; the second time its lease is there to be read, unless it is finished already.
        return Met(self._read(what, self._highest(what)) or Lease(""), alive=False)

    def let_go(self) -> None:
        """Give back whatever is still held and end the heartbeat; leases can be taken again afterwards."""
        if self._heart is not None:
            self._heart.end()
            self._heart = None
        for held in list(self._held):
            held.release()

    def standing(self) -> dict[str, Lease]:
        """Return the highest lease of everything that has one, whoever holds it, alive or not."""
        found = {what: self._read(what, self._highest(what)) for what in sorted(self.names())}
        return {what: lease for what, lease in found.items() if lease is not None}

    def names(self) -> set[str]:
        """Return what has leases, in one request."""
        return {what for what, generation in map(_split, self.storage.list(PREFIX)) if generation}

    def _highest(self, what: str) -> int:
        """Return the highest generation, 0 where there is none."""
        return max((_split(key)[1] for key in self.storage.list(f"{PREFIX}{what}.")), default=0)

    def _read(self, what: str, generation: int) -> Lease | None:
        """Return a lease, or None where it is gone."""
        raw = self.storage.read(_key(what, generation)) if generation else None
        return None if raw is None else _parse(raw)

    def _judged(self, what: str, generation: int, lease: Lease) -> Met | None:
        """Return a lease as met, or None where it is dead."""
        if lease.owner.gone:
            return None
        before, now = self._watched.get(what), self._clock()
        same = before is not None and (before.generation, before.nonce) == (generation, lease.nonce)
        if before is None or not same or before.counter != lease.counter:
            self._watched[what] = _Watched(generation, lease.nonce, lease.counter, now)
        elif now - before.since >= PATIENCE * self.period:
            return None
        rose = before is not None and same and before.counter != lease.counter
        known = rose or (before is not None and same and before.rose)
        self._watched[what] = replace(self._watched[what], rose=known)
        return Met(lease, known or lease.owner.on_this_machine)


@dataclass(frozen=True)
class _Watched:
    generation: int
    nonce: str
    counter: int
    since: float
    rose: bool = False


class Held:
    """A lease of one's own."""

    def __init__(self, leases: Leases, what: str, generation: int, lease: Lease):
        self._leases, self._what, self._generation, self._lease = leases, what, generation, lease
        self._lock, self._over = threading.Lock(), False

    def still(self) -> bool:
        """Tell whether nobody has taken it over; ask right before what may be done by one alone."""
        return self._leases._highest(self._what) == self._generation

    def release(self) -> None:
        """Give it back: delete it, and what earlier owners have left. A failure only makes others wait."""
        with self._lock:  # no heartbeat brings it back
            self._over = True
        self._leases._held.discard(self)
        storage = self._leases.storage
        with contextlib.suppress(OSError):
            for key in storage.list(f"{PREFIX}{self._what}."):
                if _split(key)[1] <= self._generation:
                    storage.delete(key)

    def beat(self) -> None:
        """Raise the counter."""
        with self._lock:
            if not self._over:
                self._lease = replace(self._lease, counter=self._lease.counter + 1)
                self._leases.storage.write(_key(self._what, self._generation), _dump(self._lease))


class _Heart:
    """The thread that raises counters. It ends with the program, whatever that is doing."""

    def __init__(self, held: set[Held], period: float):
        self._held, self._period, self._ended = held, period, threading.Event()
        self._thread = threading.Thread(target=self._run, name="jaxplain-heartbeat", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread; one that is stuck in a write is left behind, and no program waits for it."""
        self._ended.set()
        self._thread.join(_FAREWELL)

    def _run(self) -> None:
        while not self._ended.wait(self._period):
            for held in list(self._held):
                with contextlib.suppress(OSError):  # the next one may succeed; at worst the lease is taken over
                    held.beat()


def _key(what: str, generation: int) -> str:
    # No folder for every shard: when leases are deleted, nothing is left of them.
    return f"{PREFIX}{what}.{generation:06d}.json"


def _split(key: str) -> tuple[str, int]:
    """Return what a lease is for, and its generation, 0 for any other file."""
    what, _, generation = key[len(PREFIX) :].removesuffix(".json").rpartition(".")
    return what, int(generation) if generation.isdecimal() else 0


def _dump(lease: Lease) -> bytes:
    content: dict[str, Any] = asdict(lease)
    owner = content.pop("owner")
    return json.dumps({**content, **owner}, sort_keys=True).encode()


def _parse(raw: bytes) -> Lease:
    """Read a lease; one that cannot be read is nobody's, and dies like any other."""
    try:
        content = json.loads(raw)
        owner = Owner(**{entry.name: content[entry.name] for entry in fields(Owner)})
        lease = Lease(content["nonce"], int(content["counter"]), float(content["period"]), owner)
        if not isinstance(owner.pid, int) or not math.isfinite(lease.seconds):
            raise ValueError
        return lease
    except (ValueError, TypeError, KeyError, OverflowError):
        return Lease(raw.hex())
