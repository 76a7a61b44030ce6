"""Several workers on one store end with the bytes of one, whoever is killed, late, lost or asked to end."""

import dataclasses
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain.core.model import Model
from jaxplain.engine.assignment import Part
from jaxplain.engine.events import Advanced, Started
from jaxplain.engine.run import run
from jaxplain.engine.stop import Stop
from jaxplain.engine.worker import Worker
from jaxplain.io.leases import Leases
from jaxplain.io.owners import Owner
from jaxplain.testing.networks import SHAPE
from tests.engine.places import EXPLANATIONS, content, job, place, source
from tests.engine.test_overlap import _slow
from tests.io.test_leases import ELSEWHERE, beating, hearts  # noqa: F401  used by every test

TWO = EXPLANATIONS[:2]
PERIOD = 0.05


@pytest.fixture(scope="module")
def alone():
    where, storage = place()
    run(job(TWO), source(), where)
    return content(storage)


def part(storage, number=0, count=1, *, owner=None, period=PERIOD, **keywords):
    """The part of a worker in this process."""
    leases = Leases(storage, owner or Owner.here(f"{number + 1}/{count}"), period=period)
    return Part(Worker(number, count), leases=leases, **keywords)


def work(storage, taking, watch=lambda event: None, where=None):
    return run(job(TWO), source(), where or place(storage.url)[0], part=taking, watch=watch)


def at_shard(number, act):
    """Call something once, when the first batch of a shard is back."""
    done = []

    def watch(event):
        if isinstance(event, Advanced) and event.where == f"shard {number}" and not done:
            done.append(event)
            act()

    return watch


def test_two_workers_interleaved_in_one_process_write_the_bytes_of_one(alone):
    _, storage = place()
    seen = {}

    def second():
        seen["held"] = sorted(Leases(storage).standing())
        seen["second"] = work(storage, part(storage, 1, 2))

    first = work(storage, part(storage, 0, 2), at_shard(0, second))
    assert "000000" in seen["held"]
    assert first.own_complete and seen["second"].own_complete
    assert seen["second"].images == 8 * 2 + 5 and not seen["second"].complete
    assert first.images == 16 and first.complete
    assert content(storage) == alone
    assert storage.list("lease/") == []


def test_workers_in_threads_that_steal_do_every_shard_once(alone):
    _, storage = place()
    summaries = []

    def one(number):
        summaries.append(work(storage, part(storage, number, 3, steal=True)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(summary.complete for summary in summaries)
    assert sum(summary.images for summary in summaries) == 37
    assert content(storage) == alone


def test_a_dead_workers_shard_is_taken(alone):
    _, storage = place()
    Leases(storage, ELSEWHERE, period=1000).take("000001")
    assert work(storage, part(storage)).complete
    assert content(storage) == alone
    assert storage.list("lease/") == []


def test_the_second_of_two_workers_with_one_number_meets_live_leases_and_reports(alone):
    _, storage = place()
    found = []
    first = work(storage, part(storage), at_shard(0, lambda: found.append(work(storage, part(storage)))))
    second = found[0]
    assert not second.own_complete
    assert [lease.owner.worker for lease in second.held.values()] == ["1/1"] * len(second.held)
    assert 0 in second.held
    assert first.images + second.images == 37 and first.complete
    assert content(storage) == alone


def test_who_lost_a_shard_marks_nothing_in_it(alone):
    """A worker that was away for long finds its shard taken over; it leaves it, and in the end all is whole."""
    where, storage = place()
    mine = part(storage, owner=Owner("node1", 1, "some boot", "1", "1/1"), period=1000)
    thief = Leases(storage, ELSEWHERE, period=0.01)

    def take_over():
        thief.take("000000")
        time.sleep(0.05)
        thief.take("000000")

    seen = []
    marked = where.ledger.mark

    class Ledger:
        def __getattr__(self, name):
            return getattr(where.ledger, name)

        def mark(self, marker):
            seen.append(marker.shard)
            return marked(marker)

    summary = work(storage, mine, at_shard(0, take_over), dataclasses.replace(where, ledger=Ledger()))
    assert 0 not in seen and set(seen) == {1, 2, 3, 4}
    assert not summary.own_complete
    thief.let_go()
    assert work(storage, part(storage)).complete
    assert content(storage) == alone


@pytest.mark.parametrize("grace", [0.0, 1000.0])
def test_a_shard_is_finished_after_the_wish_to_end_only_if_it_fits_the_grace(alone, grace):
    _, storage = place()
    stop = Stop(grace)
    summary = work(storage, part(storage, stop=stop), at_shard(1, stop.ask))
    finished = jaxplain.open(storage.url).finished("sg")
    assert summary.stopped and not summary.own_complete
    assert finished == ((0,) if grace == 0 else (0, 1))
    assert storage.list("lease/") == []
    assert work(storage, part(storage)).complete
    assert content(storage) == alone


@pytest.mark.slow
def test_a_batch_that_takes_longer_than_the_grace_is_left():
    """The first batch takes a second; the wish comes while it is on the device."""
    _, storage = place()
    stop = Stop(grace=0.0)

    def watch(event):
        if isinstance(event, Started) and event.stage == "explain":
            threading.Timer(0.2, stop.ask).start()

    model = Model(jnp.ones((int(np.prod(SHAPE)), 3)), _slow)
    summary = run(
        job(EXPLANATIONS[:1], model=model), source(), place(storage.url)[0], part=part(storage, stop=stop), watch=watch
    )
    assert summary.stopped and summary.images == 0
    assert storage.list("done/") == [] and storage.list("lease/") == []


def test_an_error_gives_leases_back():
    _, storage = place()

    def fail():
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        work(storage, part(storage), at_shard(0, fail))
    assert storage.list("lease/") == []
    assert not beating()
