"""Counting what JAX compiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import jax.monitoring

EVENT = "/jax/core/compile/backend_compile_duration"


@dataclass
class Count:
    """Programs compiled since some moment."""

    programs: int = 0


@contextmanager
def count_compiles() -> Iterator[Count]:
    """Count the programs that the backend compiles inside the block.

    Small eager operations are programs too: run the code once before, so that only what a change causes is counted.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> double = jax.jit(lambda x: 2 * x)
        >>> numbers = jnp.arange(3.0)
        >>> with count_compiles() as count:
        ...     _ = double(numbers), double(numbers)
        >>> count.programs
        1
    """
    before, count = _listener().programs, Count()
    try:
        yield count
    finally:
        count.programs = _listener().programs - before


@cache
def _listener() -> Count:
    total = Count()

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        total.programs += event == EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    return total
