"""The first rows of another source, for trying a job out."""

from collections.abc import Sequence

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.sources.base import Rows, Source, checked_rows, digest


class FirstRows:
    """A source that ends early.

    Args:
        source: The whole.
        n: How many rows; more than there are means all.

    Raises:
        InputError: Fewer than one row.
    """

    def __init__(self, source: Source, n: int):
        if n < 1:
            raise InputError(f"source.limit = {n} must be at least 1.")
        self._source, self._n = source, min(n, len(source))
        self.shape, self.class_names, self.reasons = source.shape, source.class_names, source.reasons
        self.labels = None if source.labels is None else source.labels[: self._n]
        self.ids = source.ids[: self._n]
        self.names: Sequence[str] | None = None if source.names is None else source.names[: self._n]
        self.index = getattr(source, "index", None)

    def __len__(self) -> int:
        return self._n

    @property
    def fingerprint(self) -> str:
        """Hash of the whole source and of the number of rows."""
        return digest(self._source.fingerprint, self._n)

    def read(self, rows: Sequence[int] | np.ndarray) -> Rows:
        """Read rows, in the order asked for."""
        return self._source.read(checked_rows(rows, self._n))

    def close(self) -> None:
        """Close the whole source."""
        self._source.close()
