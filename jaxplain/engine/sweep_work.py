"""The device's part of a sweep: batches of one selection of images through the compiled programs."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.core.baselines import Baseline, Constant
from jaxplain.core.model import Model
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.lift import id_words
from jaxplain.engine.masking import blank_batch, score_batch, sweep_batch
from jaxplain.io.sources.base import Rows, Source


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
    """

    def __init__(
        self, model: Model, source: Source, rows: np.ndarray, baseline: Baseline, ranks: np.ndarray, counts: np.ndarray,
        *, batch: int, seed: int,
    ):  # fmt: skip
        self.model, self.source, self.rows, self.baseline, self.seed = model, source, rows, baseline, seed
        self.ranks, self.counts = jnp.asarray(ranks, jnp.int32), jnp.asarray(counts, jnp.int32)
        self.key, self.batch = jax.random.key(seed), min(batch, len(rows))
        first = source.read(rows[np.zeros(self.batch, int)]).image
        # Equal blanks must score equally: one row of one batch stands for all.
        blank = np.asarray(score_batch(model, self._blank(first, np.zeros(self.batch, np.uint64))))
        self.shared_blank = blank[0] if isinstance(baseline, Constant) else None
        self.n_labels = blank.shape[1]

    def shard(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Sweep a range of images.

        Returns:
            Scores ``(rows, orders, 2, steps, labels)``, and ``(rows, 2, labels)`` of the full and the blank images.
        """
        pieces: list[Any] = []
        waiting: Any = None
        for batch in self._batches(first, last):
            # The device works on this batch while the scores of the one before are fetched and the next is read.
            ahead = self._sweep(batch)
            if waiting is not None:
                pieces.append(jax.device_get(waiting))
            waiting = ahead
        pieces.append(jax.device_get(waiting))
        scores, full, blank = (np.concatenate(part)[: last - first] for part in zip(*pieces, strict=True))
        return scores, np.stack([full, blank], axis=1)

    def _batches(self, first: int, last: int) -> Iterator[Rows]:
        starts = range(first, last, self.batch)
        chosen = [self.rows[np.minimum(np.arange(start, start + self.batch), last - 1)] for start in starts]
        for _, batch in read_ahead(self.source.read, chosen):
            yield batch

    def _sweep(self, batch: Rows) -> tuple[Any, Any, Any]:
        images, blank = jnp.asarray(batch.image), self._blank(batch.image, batch.id)
        full = score_batch(self.model, images)
        if self.shared_blank is None:
            blank_scores: Any = score_batch(self.model, blank)
        else:
            blank_scores = np.broadcast_to(self.shared_blank, full.shape)
        return sweep_batch(self.model, images, blank, self.ranks, self.counts), full, blank_scores

    def _blank(self, images: np.ndarray, ids: np.ndarray) -> Any:
        return blank_batch(self.baseline, jnp.asarray(images), jnp.asarray(id_words(ids)), self.key)

    def identity(self, precision: str) -> str:
        """Hash what decides the scores; the network's code is not in it, but its parameters are."""
        settings = [self.source.fingerprint, self.seed, precision, str(jax.tree.structure(self.baseline))]
        total = hashlib.sha256(json.dumps(settings).encode())
        for leaf in jax.tree.leaves((self.rows, self.ranks, self.counts, self.baseline, self.model.params)):
            total.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
        return total.hexdigest()
