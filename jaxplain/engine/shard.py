"""One shard in host memory: filled batch by batch, written whole, marked last."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.aggregate.groups import merge_groups
from jaxplain.aggregate.moments import Moments
from jaxplain.engine.assignment import Claim
from jaxplain.engine.device import device_kind
from jaxplain.engine.job import ROWS, Job, Place
from jaxplain.engine.layout import map_space
from jaxplain.engine.lift import Clean
from jaxplain.engine.partials import pack, partial_key, partial_moments
from jaxplain.engine.plan import Plan
from jaxplain.engine.step import Result, Step, target_index
from jaxplain.io.encoding import encode
from jaxplain.io.ledger import Marker, checksum, file_checksum
from jaxplain.io.sources.base import Rows
from jaxplain.io.status import BAD_LOGITS, BAD_PIXELS, OK

Where = slice | np.ndarray
"""Rows within a shard."""


@dataclass
class Shard:
    """The rows of one shard, encoded as they will be stored.

    Args:
        number: Number of the shard.
        first_row: Its first row.
        rows: Number of rows in it.
        names: The methods to be written, and ``rows`` for the clean pass.
        claim: The right to write it.
    """

    number: int
    first_row: int
    rows: int
    names: Sequence[str]
    claim: Claim
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    partials: dict[str, dict[str, Moments]] = field(default_factory=dict)
    started: float = 0.0

    def put_rows(self, offset: int, rows: Rows, clean: Clean, kept: int) -> np.ndarray:
        """Take in the clean pass of a batch and return the status of each image."""
        self.started = self.started or time.perf_counter()
        pixels, outputs = np.asarray(clean.good_pixels)[:kept], np.asarray(clean.good_outputs)[:kept]
        status = rows.status[:kept].copy()
        status[(status == OK) & ~pixels] = BAD_PIXELS
        status[(status == OK) & ~outputs] = BAD_LOGITS
        if ROWS in self.names:
            good = status == OK
            prediction = np.where(good, np.asarray(clean.prediction)[:kept], -1)
            values = {
                "label": rows.label[:kept].astype(np.int32),
                "prediction": prediction.astype(np.int32),
                "target": np.where(good, target_index(clean)[:kept], -1).astype(np.int32),
                "score": _blank(np.asarray(clean.score, np.float32)[:kept], good),
                "status": status,
            }
            for name, value in values.items():
                self._put(ROWS, f"rows/{name}", slice(offset, offset + kept), value)
        return status

    def put_figures(self, rows: Where, results: Result, good: np.ndarray) -> None:
        """Take in the figures of each method's error, for some rows of the shard."""
        for name, (_, figures) in results.items():
            for figure, error in figures.items():
                values = np.asarray(error, np.float32)[: len(good)]
                self._put(name, f"rows/{figure}/{name}", rows, _blank(values, good))

    def put_stopped(self, name: str, rows: Where, evaluations: np.ndarray, converged: np.ndarray) -> None:
        """Take in what a method that stops by itself has used, and whether it met its tolerance."""
        self._put(name, f"rows/evaluations/{name}", rows, evaluations.astype(np.int32))
        self._put(name, f"rows/converged/{name}", rows, converged)

    def put_maps(self, rows: Where, results: Result, good: np.ndarray, store: str, target_axes: int) -> None:
        """Take in maps for some rows of the shard, encoded; images that are not good get NaN."""
        for name, (maps, _) in results.items():
            decoded = _blank(np.asarray(maps, np.float32)[: len(good)], good)
            value, scale = encode(decoded, store, leading=1 + target_axes)
            self._put(name, f"maps/{name}/value", rows, value)
            self._put(name, f"maps/{name}/scale", rows, scale)

    def put_partials(
        self,
        results: Result,
        labels: np.ndarray,
        predictions: np.ndarray,
        status: np.ndarray,
        job: Job,
        step: Step,
    ) -> None:
        """Take in the maps of a batch where none are kept: merge the moments of the groups present in it."""
        for name, (maps, _) in results.items():
            found = partial_moments(
                np.asarray(maps)[: len(status)],
                labels,
                predictions,
                status,
                grouping=job.grouping(step.target_axes),
                steps=job.steps,
                channel_axis=map_space(maps.shape[1 + step.target_axes :], step.shape)[1],
            )
            self.partials[name] = merge_groups(self.partials.get(name, {}), found)

    def write(self, place: Place, job: Job, plan: Plan) -> float:
        """Write all arrays, wait until they are durable, then mark each name; return the seconds of the whole shard.

        Where somebody else has taken the shard over, it is theirs: nothing is written or marked any more.

        Raises:
            OSError: The sink failed; nothing is marked then.
        """
        if not self._ours(place):
            self.claim.release()
            return 0.0
        pending = [place.sink.write(path, self.first_row, values) for path, values in self.arrays.items()]
        files: dict[str, dict[str, str]] = {}
        for name, found in self.partials.items():
            if place.blobs is None:
                raise InputError("run: store = 'none' needs a place for partials; open it with blobs.")
            key, content = partial_key(name, self.number), pack(found)
            place.blobs.write(key, content)
            files[name] = {key: file_checksum(content)}
        sums = {path: checksum(values) for path, values in self.arrays.items()}
        for write in pending:
            write.result()
        seconds = time.perf_counter() - self.started
        if not self._ours(place):
            self.claim.release()
            return seconds
        explanations = {explanation.name: explanation for explanation in job.explanations}
        bad = int(np.count_nonzero(self.arrays["rows/status"])) if ROWS in self.names else None
        for name in sorted(self.names, key=lambda name: name != ROWS):
            facts: dict[str, Any] = {"seconds": round(seconds, 3)} | ({"quarantined": bad} if name == ROWS else {})
            place.ledger.mark(
                Marker(
                    name=name,
                    shard=self.number,
                    first_row=self.first_row,
                    rows=self.rows,
                    checksums={path: sums[path] for path, owner in self.owners.items() if owner == name},
                    hash=job.hash(explanations.get(name), plan),
                    device=device_kind(),
                    facts=facts,
                    files=files.get(name, {}),
                )
            )
        self.claim.release()
        return seconds

    def _ours(self, place: Place) -> bool:
        """Tell whether nobody has taken the shard over, or even finished it."""
        if self.claim.held is None:
            return True
        return self.claim.still() and bool(place.ledger.lacking(self.names, self.number))

    def _put(self, owner: str, path: str, rows: Where, values: np.ndarray) -> None:
        if path not in self.arrays:
            self.arrays[path] = np.empty((self.rows, *values.shape[1:]), values.dtype)
            self.owners[path] = owner
        self.arrays[path][rows] = values


def _blank(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    if good.all():
        return values
    return np.where(good.reshape(good.shape + (1,) * (values.ndim - 1)), values, np.float32(np.nan))
