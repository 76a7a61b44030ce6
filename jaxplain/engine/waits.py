"""What the main thread of a run waits for: the share of it tells which part to make faster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

For = Literal["input", "device", "output"]


@dataclass
class Waits:
    """Seconds that were waited, by what for; what is left of the time is work of the main thread itself.

    Args:
        input: For images, while the device had nothing to do.
        device: For results: of these three the one that should be large.
        output: For shards to be written, which hold back new ones.
    """

    input: float = 0.0
    device: float = 0.0
    output: float = 0.0

    @contextmanager
    def on(self, what: For) -> Iterator[None]:
        """Count the time of a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) + time.perf_counter() - began)

    def record(self) -> dict[str, float]:
        """Return the seconds by name."""
        return asdict(self)

    def shares(self, seconds: float) -> dict[str, float]:
        """Return the shares of a time, each between 0 and 1.

        Example:
            >>> Waits(input=1.0, device=3.0).shares(4.0)
            {'input': 0.25, 'device': 0.75, 'output': 0.0}
        """
        return {name: min(1.0, waited / seconds) if seconds > 0 else 0.0 for name, waited in asdict(self).items()}
