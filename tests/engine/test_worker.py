"""Workers: their ranges, the order in which they look at shards, and the wish to end."""

import time

import jax
import jax.numpy as jnp
import pytest

from jaxplain import InputError
from jaxplain.engine.assignment import MOST_WATCHED, Assignment, Part
from jaxplain.engine.device import until_ready
from jaxplain.engine.stop import Pace, Stop, Stopped
from jaxplain.engine.worker import Worker
from jaxplain.io.leases import Leases
from jaxplain.io.owners import Owner
from jaxplain.io.storage import Storage
from tests.io.test_leases import ELSEWHERE, FRESH, Clock, hearts  # noqa: F401  used by every test


@pytest.mark.parametrize("shards", [0, 1, 5, 8, 23])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 30])
def test_ranges_cover_every_shard_once_and_are_equally_long(shards, count):
    ranges = [Worker(number, count).owns(shards) for number in range(count)]
    assert [shard for one in ranges for shard in one] == list(range(shards))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


def test_a_thief_looks_at_its_own_range_first_and_at_every_other_shard_once():
    assert Worker(1, 3).order(7, steal=True) == [2, 3, 4, 5, 6, 0, 1]
    assert Worker(1, 3).order(7, steal=False) == [2, 3]


@pytest.mark.parametrize(("number", "count"), [(4, 4), (-1, 4), (0, 0)])
def test_workers_that_are_none_are_refused(number, count):
    with pytest.raises(InputError, match=f"worker: {number + 1}/{count} is none"):
        Worker(number, count)


def taken(assignment, lose=()):
    found = []
    for claims in assignment.passes():
        for claim in claims:
            claim.lost = claim.number in lose and claim.number not in found
            found.append(claim.number)
            claim.release()
    return found


def test_without_leases_every_shard_is_taken_once():
    assert taken(Assignment(Part(), [3, 1, 2])) == [3, 1, 2]


def test_what_was_lost_to_somebody_is_looked_at_again():
    assert taken(Assignment(Part(), [3, 1, 2]), lose=[1]) == [3, 1, 2, 1]


def test_what_others_hold_is_passed_over_and_reported():
    storage = Storage.open(f"memory://leases{next(FRESH)}")
    other = Leases(storage, Owner.here("2/2"))
    held = other.take("000001")
    mine = Assignment(Part(leases=Leases(storage, Owner.here("1/2"), period=0.02)), [0, 1, 2])
    assert taken(mine) == [0, 2]
    assert {number: lease.owner.worker for number, lease in mine.others.items()} == {1: "2/2"}
    held.release()
    again = Assignment(Part(leases=Leases(storage)), [1])
    assert taken(again) == [1]
    assert again.others == {}


def test_what_the_dead_held_is_taken_over_in_the_end():
    storage = Storage.open(f"memory://leases{next(FRESH)}")
    Leases(storage, ELSEWHERE).take("000001")
    leases = Leases(storage, period=0.02)
    assert taken(Assignment(Part(leases=leases), [0, 1, 2])) == [0, 2, 1]
    leases.let_go()


def test_a_thief_waits_for_the_living():
    storage = Storage.open(f"memory://leases{next(FRESH)}")
    held = Leases(storage, Owner.here("2/2")).take("000001")
    waits = []

    class Patient(Stop):
        def wait(self, seconds):
            waits.append(seconds)
            if len(waits) == 3:
                held.release()

    leases = Leases(storage)
    assert taken(Assignment(Part(steal=True, leases=leases, stop=Patient()), [0, 1])) == [0, 1]
    assert len(waits) == 3
    leases.let_go()


def test_who_waits_for_many_reads_few_of_their_leases_again():
    """A thousand workers that wait for each other at the end of a job must not read a million leases a second."""
    storage = Storage.open(f"memory://leases{next(FRESH)}")
    other, taken_by_other = Leases(storage, Owner.here("2/2")), {}
    for number in range(30):
        taken_by_other[number] = other.take(f"{number:06d}")
    reads, passes = [], []

    class Reading:
        def __getattr__(self, name):
            return getattr(storage, name)

        def read(self, key):
            reads.append(key)
            return storage.read(key)

    class Patient(Stop):
        def wait(self, seconds):
            passes.append(len(reads))
            reads.clear()
            if len(passes) == 3:
                other.let_go()

    leases = Leases(Reading())
    assert taken(Assignment(Part(steal=True, leases=leases, stop=Patient()), range(30))) == list(range(30))
    assert passes == [30, MOST_WATCHED, MOST_WATCHED]
    leases.let_go()


def test_nothing_is_taken_after_the_wish_to_end():
    stop = Stop()
    found = []
    with stop.heeded():
        for claims in Assignment(Part(stop=stop), [0, 1, 2]).passes():
            for claim in claims:
                found.append(claim.number)
                stop.ask()
    assert found == [0]


def test_a_wish_to_end_is_counted_down_and_is_forced_upon_those_alone_who_do_not_look():
    clock = Clock(5.0)
    stop = Stop(grace=20.0, clock=clock)
    assert not stop.asked and stop.left == float("inf")
    with stop.heeded():
        stop.ask()
        clock.now += 15
        stop.ask()
        assert stop.asked and stop.left == 5.0
    with pytest.raises(Stopped):
        stop.ask()


def test_the_pace_tells_how_long_the_rest_will_take():
    clock = Clock()
    pace = Pace(clock)
    assert pace.seconds(1) == float("inf") and pace.seconds(0) == 0.0
    clock.now = 6.0
    pace.advance(3)
    assert pace.seconds(10) == 20.0


def test_the_device_is_waited_for_only_as_long_as_somebody_wants():
    def long(x):  # about a second on any CPU
        return jax.lax.fori_loop(0, 3000, lambda _, y: jnp.tanh(y @ y), x)

    run = jax.jit(long).lower(jnp.full((128, 128), 0.01)).compile()
    began = time.perf_counter()
    result = run(jnp.full((128, 128), 0.01))
    assert not until_ready({"a": result, "b": 3}, enough=lambda: True)
    given_up = time.perf_counter() - began
    assert until_ready({"a": result, "b": 3}, enough=lambda: False)
    assert given_up < (time.perf_counter() - began) / 2
    assert until_ready(result, enough=lambda: True), "what is there is there"
