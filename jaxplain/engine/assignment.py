"""Which shard next: a worker takes a lease on one after the other, passes over what others hold, and comes back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from jaxplain.engine.stop import Stop
from jaxplain.engine.worker import Worker
from jaxplain.io.leases import Held, Lease, Leases, Met
from jaxplain.io.owners import Owner

Result = TypeVar("Result")
LONGEST_PAUSE = 1.0
"""Seconds after which a worker that waits for others looks again."""
MOST_WATCHED = 8
"""Leases of others that are read again in every pass: a thousand workers that wait for each other must not read all."""


@dataclass(frozen=True)
class Part:
    """How this process takes part in the work on a store.

    Args:
        worker: Which of the workers it is.
        steal: Whether it goes on to the shards of others, and waits for those that they hold, until all are done.
        leases: Its leases; None where nobody else can work on the store.
        stop: A wish to end soon.
        meet: Waits until all workers have come so far and tells whether they have; None where they do not know of each
            other.
    """

    worker: Worker = field(default_factory=Worker)
    steal: bool = False
    leases: Leases | None = None
    stop: Stop = field(default_factory=Stop)
    meet: Callable[[], bool] | None = None


@dataclass
class Claim:
    """A shard to work on.

    Args:
        number: The shard.
        held: Its lease, where leases are taken.
        lost: Whether somebody else turned out to hold it.
    """

    number: int
    held: Held | None = None
    lost: bool = False

    def still(self) -> bool:
        """Tell whether nobody else has taken the shard over."""
        self.lost = self.lost or not (self.held is None or self.held.still())
        return not self.lost

    def release(self) -> None:
        """Give the lease back."""
        if self.held is not None:
            self.held.release()


class Assignment:
    """The shards that one worker takes.

    Args:
        part: How it takes part.
        shards: What it is to do, in its order.
        scope: Put before the names of leases; tells shards of one kind of work from those of another.
    """

    def __init__(self, part: Part, shards: Sequence[int], scope: str = ""):
        self._part, self._left, self._scope = part, list(shards), scope
        self._claims: list[Claim] = []
        self._met: dict[int, Met] = {}

    @property
    def others(self) -> dict[int, Lease]:
        """What somebody else held when it was last looked at."""
        return {number: met.lease for number, met in self._met.items()}

    def passes(self) -> Iterator[Iterator[Claim]]:
        """Yield one pass after the other over what is left; each takes its leases while it is gone through.

        Ends when nothing is left; when all that is left is held by workers known to be alive, unless this one steals;
        or when somebody wishes for the end.
        """
        stop, leases = self._part.stop, self._part.leases
        while self._left and not stop.asked:
            self._claims, met = [], dict[int, Met]()
            free = self._free(met)
            first = next(free, None)
            if first is not None:
                yield chain([first], free)
            self._met = met
            self._left = [*met, *(claim.number for claim in self._claims if claim.lost)]
            if first is None and leases is not None:
                if not self._part.steal and all(one.alive for one in met.values()):
                    return
                stop.wait(min(leases.period / 4, LONGEST_PAUSE))

    def _free(self, met: dict[int, Met]) -> Iterator[Claim]:
        """Yield what can be taken, and put down what others hold."""
        leases = self._part.leases
        standing = set[str]() if leases is None else leases.names()
        for number in self._left:
            if self._part.stop.asked:
                return
            what = f"{self._scope}{number:06d}"
            if what in standing and number in self._met and len(met) >= MOST_WATCHED:
                met[number] = self._met[number]
                continue
            found = None if leases is None else leases.take(what)
            if isinstance(found, Met):
                met[number] = found
            else:
                self._claims.append(Claim(number, found))
                yield self._claims[-1]


def by_one(part: Part, what: str, act: Callable[[], Result]) -> tuple[Result | None, Owner | None]:
    """Do what one worker may do at a time, unless another does it.

    Args:
        part: How this process takes part; where it steals, it waits for the other and then does it as well.
        what: Scope of the lease.
        act: Does it.

    Returns:
        What ``act`` returned, or None and who does it instead, if it is known.
    """
    assignment = Assignment(part, [0], what)
    try:
        for claims in assignment.passes():
            for claim in claims:
                found = act()
                claim.release()
                return found, None
    finally:
        if part.leases is not None:
            part.leases.let_go()
    return None, next((lease.owner for lease in assignment.others.values()), None)
