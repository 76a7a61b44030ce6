"""What a run did."""

from dataclasses import dataclass, field

from jaxplain.engine.compiling import Compiled
from jaxplain.engine.usage import Operations
from jaxplain.engine.waits import Waits
from jaxplain.io.leases import Lease


@dataclass
class Summary:
    """What a run did.

    Args:
        images: Images explained in this process.
        seconds: Time from the first to the last batch, compilation and planning apart.
        planning_seconds: Time of planning and compilation.
        compiled: The programs of this run, with the seconds of tracing and compiling.
        waits: Seconds that were waited, by what for.
        operations: Floating-point operations of the programs that explained.
        quarantined: Status code of every quarantined row seen in this process.
        quarantined_before: How many finished shards hold, from earlier runs.
        missed: By method, the errors of the images of this process that the budget left above the tolerance.
        failed: Shards that could not be read, with the reason.
        held: Unfinished shards of this worker's part that somebody else holds.
        stopped: Whether somebody wished for the end.
        own_complete: Whether every shard of this worker's part is finished; all shards are its part where it steals.
        complete: Whether every shard of every method is finished.
    """

    images: int = 0
    seconds: float = 0.0
    planning_seconds: float = 0.0
    compiled: dict[str, Compiled] = field(default_factory=dict)
    waits: Waits = field(default_factory=Waits)
    operations: Operations = field(default_factory=Operations)
    quarantined: dict[int, int] = field(default_factory=dict)
    quarantined_before: int = 0
    missed: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    held: dict[int, Lease] = field(default_factory=dict)
    stopped: bool = False
    own_complete: bool = False
    complete: bool = False

    @property
    def images_per_second(self) -> float:
        """Images explained per second."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def operations_per_second(self) -> float | None:
        """Floating-point operations per second of explaining, or None where they are not known."""
        number = self.operations.number
        return number / self.seconds if number and self.seconds else None
