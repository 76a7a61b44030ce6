"""The device's part of a sweep: batches of one selection of images through the compiled programs."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.core.baselines import Baseline, Constant
from jaxplain.core.model import Model
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.compiling import compile_ahead
from jaxplain.engine.device import until_ready
from jaxplain.engine.devices import ONE_DEVICE, Devices
from jaxplain.engine.events import Watcher
from jaxplain.engine.lift import id_words
from jaxplain.engine.masking import blank_batch, score_batch, sweep_batch
from jaxplain.engine.stop import Pace, Stop
from jaxplain.io.sources.base import Rows, Source


@dataclass(frozen=True)
class _Piece:
    """One batch of a range: rows of the source, how many count, how many are left in the range; first or last of it."""

    numbers: np.ndarray
    kept: int
    rest: int
    first: bool
    last: bool


class SweepWork:
    """Sweeps over one selection of images.

    Args:
        model: Outputs ``(batch, labels)``.
        source: The images.
        rows: The rows of the source that are swept.
        baseline: What an erased pixel shows.
        ranks: ``(orders, *space)``.
        counts: ``(steps,)``: pixels taken.
        batch: Images per compiled step.
        seed: Of a noise baseline.
        devices: Those that share out a batch.
    """

    def __init__(
        self, model: Model, source: Source, rows: np.ndarray, baseline: Baseline, ranks: np.ndarray, counts: np.ndarray,
        *, batch: int, seed: int, devices: Devices = ONE_DEVICE,
    ):  # fmt: skip
        self.model, self.source, self.rows, self.seed, self.devices = model, source, rows, seed, devices
        numbers = jnp.asarray(ranks, jnp.int32), jnp.asarray(counts, jnp.int32)
        self.baseline, self.key, (self.ranks, self.counts) = devices.whole((baseline, jax.random.key(seed), numbers))
        self.batch = -(-min(batch, len(rows)) // devices.count) * devices.count
        first = devices.cut(source.read(rows[np.zeros(self.batch, int)]).image)
        # Equal blanks must score equally: one row of one batch stands for all.
        blank = np.asarray(self._score(self._blank(first, np.zeros(self.batch, np.uint64))))
        self.shared_blank = blank[0] if isinstance(baseline, Constant) else None
        self.n_labels = blank.shape[1]

    def compile(self, watch: Watcher) -> None:
        """Compile the program of all masks, which ``sweep`` needs.

        Args:
            watch: Called with events.
        """
        image = self.devices.cut_shapes(jax.ShapeDtypeStruct((self.batch, *self.source.shape), np.float32))
        given = self.model, image, image, self.ranks, self.counts
        lower = partial(sweep_batch.lower, *given, devices=self.devices)
        self._masks = compile_ahead({"masks": lower}, watch)["masks"].call

    def sweep(self, ranges: Iterable[tuple[int, int]], stop: Stop) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Sweep ranges of images, one after the other.

        The device works on one batch while the scores of the one before are fetched and the next is read, also across
        ranges.

        Args:
            ranges: First image and the one after the last.
            stop: A wish to end: then no other range is begun, and one under way is left where its rest takes too long.

        Yields:
            For each range, scores ``(rows, orders, 2, steps, labels)``, and ``(rows, 2, labels)`` of the full and the
            blank images.
        """
        fetched: list[Any] = []
        waiting: tuple[_Piece, Any] | None = None
        pace = Pace()

        def too_late(piece: _Piece) -> bool:
            return stop.asked and pace.seconds(piece.rest) > stop.left

        reading = read_ahead(lambda piece: self.source.read(piece.numbers), self._pieces(ranges))
        while True:
            piece, batch = next(reading, (None, None))
            over = piece is None or batch is None or (stop.asked and piece.first) or too_late(piece)
            started = None if over or piece is None or batch is None else (piece, self._sweep(batch))
            if waiting is not None:
                done, found = waiting
                if not until_ready(found, enough=partial(too_late, done)):
                    return
                pace.advance(done.kept)
                yield from _landed(fetched, done, found)
            if over:
                return
            waiting = started

    def _pieces(self, ranges: Iterable[tuple[int, int]]) -> Iterator["_Piece"]:
        for first, last in ranges:
            for start in range(first, last, self.batch):
                numbers = self.rows[np.minimum(np.arange(start, start + self.batch), last - 1)]
                kept = min(self.batch, last - start)
                yield _Piece(numbers, kept, last - start, start == first, start + self.batch >= last)

    def _sweep(self, batch: Rows) -> tuple[Any, Any, Any]:
        """Start a batch."""
        images = self.devices.cut(batch.image)
        blank = self._blank(images, batch.id)
        full = self._score(images)
        if self.shared_blank is None:
            blank_scores: Any = self._score(blank)
        else:
            blank_scores = np.broadcast_to(self.shared_blank, full.shape)
        return self._masks(self.model, images, blank, self.ranks, self.counts), full, blank_scores

    def _blank(self, images: Any, ids: np.ndarray) -> Any:
        words = self.devices.cut(id_words(ids))
        return blank_batch(self.baseline, images, words, self.key, devices=self.devices)

    def _score(self, images: Any) -> Any:
        return score_batch(self.model, images, devices=self.devices)

    def identity(self, precision: str) -> str:
        """Hash what decides the scores; the network's code is not in it, but its parameters are."""
        settings = [self.source.fingerprint, self.seed, precision, str(jax.tree.structure(self.baseline))]
        if self.devices.count > 1:  # on another number of devices scores are equal to rounding only
            settings.append(f"{self.devices.count} devices")
        total = hashlib.sha256(json.dumps(settings).encode())
        for leaf in jax.tree.leaves((self.rows, self.ranks, self.counts, self.baseline, self.model.params)):
            total.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
        return total.hexdigest()


def _landed(fetched: list[Any], piece: _Piece, found: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Fetch a batch; yield the range that it ends."""
    fetched.append([part[: piece.kept] for part in jax.device_get(found)])
    if piece.last:
        scores, full, blank = (np.concatenate(part) for part in zip(*fetched, strict=True))
        fetched.clear()
        yield scores, np.stack([full, blank], axis=1)
