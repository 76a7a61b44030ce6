"""Reading ahead: in order, several at once, and never more than was asked for."""

import threading

import pytest

from jaxplain.engine.ahead import read_ahead


def test_values_come_in_order_and_no_more_are_held_than_the_depth_allows():
    lock, begun, taken = threading.Lock(), [], []
    most = 0

    def read(item):
        nonlocal most
        with lock:
            begun.append(item)
            most = max(most, len(begun) - len(taken))
        return 10 * item

    for item, value in read_ahead(read, range(50), depth=3, threads=2):
        assert value == 10 * item
        with lock:
            taken.append(item)
    assert taken == list(range(50)) and most <= 3 + 1  # the depth, and the one that is being taken


def test_several_are_read_at_once_and_an_error_comes_at_its_item():
    meeting = threading.Barrier(2, timeout=30)

    def read(item):
        meeting.wait()
        if item == 1:
            raise OSError("the second")
        return item

    reading = read_ahead(read, range(2), depth=2, threads=2)
    assert next(reading) == (0, 0)
    with pytest.raises(OSError, match="the second"):
        next(reading)
