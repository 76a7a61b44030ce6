"""Read ahead: the next batches are fetched by threads while the current one is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def read_ahead(
    read: Callable[[Item], Value], items: Iterable[Item], depth: int = 2, threads: int = 1
) -> Iterator[tuple[Item, Value]]:
    """Yield every item with what was read for it, in order, at most ``depth`` reads in advance.

    Args:
        read: Called in threads of its own; what it raises is raised here, at its item.
        items: What to read.
        depth: Values held at once beside the one in use.
        threads: How many reads run at once.
    """
    with ThreadPoolExecutor(threads, "jaxplain-ahead") as pool:
        pending: deque[tuple[Item, Future[Value]]] = deque()
        try:
            for item in items:
                pending.append((item, pool.submit(read, item)))
                if len(pending) > depth:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()
