"""Signals of a scheduler or of a person become a wish to end soon; when the grace is over, the end itself."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from jaxplain.cli.failures import INCOMPLETE
from jaxplain.engine.stop import Stop

SIGNALS = (signal.SIGTERM, signal.SIGINT)
FAREWELL = 5.0
"""Seconds after the grace in which a run that ends by itself may say what it did."""
_LAST_WORDS = b"jaxplain: stopped, the grace is over; the same command goes on where it was\n"


@contextmanager
def stopping(grace: float) -> Iterator[Stop]:
    """Turn SIGTERM and SIGINT into a wish to end inside the block; a second SIGINT interrupts at once.

    Args:
        grace: Seconds that a shard under way may take.

    Yields:
        The wish.
    """
    stop = Stop(grace)
    if threading.current_thread() is not threading.main_thread():  # Python handles signals nowhere else
        yield stop
        return
    end = list[threading.Timer]()

    def heed(number: int, frame: FrameType | None) -> None:
        if stop.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not end:
            # Whatever hangs, a call on the device, a file system: nothing is lost by ending there.
            end.append(threading.Timer(grace + FAREWELL, _leave))
            end[0].daemon = True
            end[0].start()
        stop.ask()

    before = {number: signal.signal(number, heed) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in end:
            timer.cancel()


def _leave() -> None:
    os.write(2, _LAST_WORDS)
    os._exit(INCOMPLETE)
