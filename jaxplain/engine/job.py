"""A job: what a run explains, how, and where the results go; all values resolved, nothing read from files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from jaxplain.aggregate.groups import Grouping, Select
from jaxplain.core.maps import MapSteps
from jaxplain.core.model import Model
from jaxplain.core.targets import Target
from jaxplain.engine.plan import Plan, StoreKind
from jaxplain.engine.precision import Precision
from jaxplain.engine.rounds import Stopping
from jaxplain.io.ledger import Marker
from jaxplain.io.sink import Sink

ROWS = "rows"
"""Name under which the ledger keeps the clean pass."""


@dataclass(frozen=True)
class Explanation:
    """One method of a job.

    Args:
        name: Its name in the store.
        method: Its name in the registry.
        keywords: Context and knobs as the method takes them.
        spec: The same as JSON values, for the hash and the reader, with what ``stopping`` says.
        stopping: When sampling stops; None for the number of samples that the method has.
    """

    name: str
    method: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    stopping: Stopping | None = None


@dataclass(frozen=True)
class PlanRequest:
    """What the user asks of the plan; what is None is chosen."""

    memory: str | int = "2GiB"
    batch: int | None = None
    chunk: int | None = None
    precision: Precision = "fast"
    rows_per_shard: int | None = None
    store: StoreKind = "float16"
    together: bool = True
    devices: int | None = None
    coarse: bool = True


@dataclass(frozen=True)
class Job:
    """A run over a source.

    Args:
        model: The network.
        target: What to explain; its leaves carry one entry per image of the source, or are shared.
        explanations: The methods.
        seed: Seed of all noise.
        spec: JSON values of everything that decides the numbers besides methods and plan: model, data, input, target,
            seed.
        request: What is asked of the plan.
        steps: How stored maps become global maps.
        select: Which images of a label enter its global map.
        exclude: Labels that stay out of the macro map.
        n_labels: Number of labels that global maps are made for.
        max_bad: Most images that may be quarantined before the run stops; None for any number.
        class_names: Names of the classes, for people.
    """

    model: Model
    target: Target
    explanations: tuple[Explanation, ...]
    seed: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    request: PlanRequest = field(default_factory=PlanRequest)
    steps: MapSteps = field(default_factory=MapSteps)
    select: Select = "true"
    exclude: tuple[int, ...] = ()
    n_labels: int = 0
    max_bad: int | None = None
    class_names: tuple[str, ...] = ()

    def grouping(self, target_axes: int) -> Grouping:
        """Return how images are sorted into the groups of global maps."""
        return Grouping(self.n_labels, self.select, bool(target_axes), self.exclude)

    def hash(self, explanation: Explanation | None, plan: Plan) -> str:
        """Return the hash of what decides an explanation's stored values, or the clean pass's for None.

        How it is executed (batch, chunk, rows per shard) does not enter; where no maps are kept, the way to global maps
        does.
        """
        own = {} if explanation is None else dict(explanation.spec)
        decided: dict[str, Any] = {"precision": plan.precision, "store": plan.store}
        if plan.store == "none":
            decided |= {"steps": asdict(self.steps), "select": self.select, "exclude": self.exclude}
        text = json.dumps([dict(self.spec), own, decided], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Manifests(Protocol):
    """Where the manifest is: created once, exclusively."""

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """Write it unless there is one; True for the one that wrote."""
        ...

    def read(self) -> dict[str, Any] | None:
        """Return it, or None."""
        ...


class Ledgers(Protocol):
    """Which shards are finished."""

    def finished(self, name: str) -> dict[int, Marker]:
        """Return the markers of a name by shard."""
        ...

    def mark(self, marker: Marker) -> bool:
        """Create a marker, last; False where there is one."""
        ...

    def lacking(self, names: Sequence[str], shard: int) -> list[str]:
        """Return those of some names that have no marker for a shard."""
        ...


class Blobs(Protocol):
    """Small files by key."""

    def write(self, key: str, data: bytes) -> None:
        """Write or replace a file, durably."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a run writes; blobs are needed only where no maps are kept."""

    sink: Sink
    ledger: Ledgers
    manifest: Manifests
    blobs: Blobs | None = None
