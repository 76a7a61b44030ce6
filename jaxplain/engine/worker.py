"""One of several workers on one store: which shards are its own, and in which order it looks at them."""

from dataclasses import dataclass

from jaxplain._errors import InputError


@dataclass(frozen=True)
class Worker:
    """Worker ``number`` of ``count``.

    Args:
        number: From 0 on; people count from 1.
        count: How many there are.

    Raises:
        InputError: There is no such worker.

    Example:
        >>> [list(Worker(number, 3).owns(7)) for number in range(3)]
        [[0, 1], [2, 3], [4, 5, 6]]
        >>> print(Worker(1, 3))
        2/3
    """

    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.count:
            raise InputError(
                f"worker: {self.number + 1}/{self.count} is none; with {self.count} workers they are called "
                f"1/{self.count} to {self.count}/{self.count}."
            )

    def __str__(self) -> str:
        return f"{self.number + 1}/{self.count}"

    def owns(self, shards: int) -> range:
        """Return the shards of this worker: a range, equally long for all but for one shard.

        Args:
            shards: How many there are in all.
        """
        return range(self.number * shards // self.count, (self.number + 1) * shards // self.count)

    def order(self, shards: int, *, steal: bool) -> list[int]:
        """Return the shards to look at: its own, then, where it may take others', those that follow, round to its own.

        Args:
            shards: How many there are in all.
            steal: Whether it may take others'.
        """
        own = self.owns(shards)
        return [*own, *range(own.stop, shards), *range(own.start)] if steal else list(own)
