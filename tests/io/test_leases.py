"""Leases: one holder at a time, kept by a heartbeat, taken from the dead; no two clocks are compared."""

import errno
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from jaxplain.io.claims import claim
from jaxplain.io.leases import Held, Lease, Leases, Met
from jaxplain.io.ledger import Ledger, Marker
from jaxplain.io.owners import Owner
from jaxplain.io.storage import Storage

FRESH = itertools.count()
ELSEWHERE = Owner("node7", 12, "another boot", "99", "2/4")
PERIOD = 10.0


class Clock:
    """Seconds that go forward when told."""

    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def hearts(monkeypatch):
    """Every lease that a test leaves behind is given back after it."""
    made, init = [], Leases.__init__

    def recorded(self, *arguments, **keywords):
        init(self, *arguments, **keywords)
        made.append(self)

    monkeypatch.setattr(Leases, "__init__", recorded)
    yield
    for leases in made:
        leases.let_go()


@pytest.fixture
def memory():
    return Storage.open(f"memory://leases{next(FRESH)}")


def worker(storage, owner=ELSEWHERE, clock=None, period=PERIOD):
    """A worker on another machine, whose heart never beats by itself within a test."""
    return Leases(storage, owner, period=period, clock=clock or Clock())


def test_one_of_two_holds_and_the_other_learns_who(storage):
    first, second = worker(storage), worker(storage, Owner("node8", 3, "a third boot", "1", "3/4"))
    held = first.take("000012")
    assert isinstance(held, Held) and held.still()
    met = second.take("000012")
    assert isinstance(met, Met) and not met.alive
    assert str(met.lease.owner) == "worker 2/4 on node7 (pid 12)"
    assert isinstance(second.take("000013"), Held)
    assert sorted(second.standing()) == ["000012", "000013"]
    first.let_go()
    assert isinstance(second.take("000012"), Held)
    second.let_go()
    assert storage.list("lease/") == []


def test_a_lease_is_dead_when_its_counter_stood_still_for_three_periods_of_the_observer(memory):
    gone = worker(memory)
    held = gone.take("000000")
    clock = Clock(1e6)  # clocks of two machines agree in nothing
    observer = worker(memory, clock=clock)
    assert isinstance(observer.take("000000"), Met)
    clock.now += 3 * PERIOD - 1
    assert isinstance(observer.take("000000"), Met)
    clock.now += 1
    mine = observer.take("000000")
    assert isinstance(mine, Held) and mine.still()
    assert not held.still(), "the higher generation holds"
    held.release()
    assert mine.still(), "who lost a lease deletes no other"
    mine.release()


def test_a_lease_whose_counter_rises_is_never_dead(memory):
    holder, clock = worker(memory), Clock()
    held = holder.take("000000")
    observer = worker(memory, clock=clock)
    seen = []
    for _ in range(6):
        met = observer.take("000000")
        assert isinstance(met, Met)
        seen.append(met.alive)
        clock.now += 2 * PERIOD
        held.beat()
    assert seen == [False, True, True, True, True, True]
    assert observer.standing()["000000"].seconds == 6 * PERIOD
    holder.let_go()


@pytest.mark.parametrize("skew", [-1e9, 1e9])
def test_clock_skew_between_workers_cannot_matter(memory, skew):
    holder = worker(memory, clock=Clock(skew))
    assert isinstance(holder.take("000000"), Held)
    clock = Clock()
    observer = worker(memory, clock=clock)
    assert isinstance(observer.take("000000"), Met)
    clock.now += 3 * PERIOD
    assert isinstance(observer.take("000000"), Held)


def test_a_program_that_ended_on_this_machine_is_dead_at_once(memory):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = Owner.here()
    if not here.machine:
        pytest.skip("this system does not tell whether a program runs")
    assert not here.gone
    past = Owner(here.host, ended.pid, here.machine, here.began)
    assert past.gone
    assert isinstance(worker(memory, past).take("000000"), Held)
    assert isinstance(worker(memory, past).take("000001"), Held)
    mine = Leases(memory)
    assert isinstance(mine.take("000000"), Held)
    reused = Owner(here.host, os.getpid(), here.machine, "an earlier program")
    assert reused.gone, "numbers of programs are given out again"
    mine.let_go()


def test_a_killed_program_that_nobody_waited_for_runs_no_more():
    zombie = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    here = Owner.here()
    if not here.machine:
        pytest.skip("this system does not tell whether a program runs")
    from jaxplain.io.owners import _began

    owner = Owner(here.host, zombie.pid, here.machine, _began(zombie.pid))
    assert not owner.gone
    zombie.kill()
    end = time.monotonic() + 10
    while not owner.gone and time.monotonic() < end:
        time.sleep(0.01)
    assert owner.gone
    zombie.wait()


def test_a_live_program_of_this_machine_is_alive_at_once(memory):
    first, second = Leases(memory), Leases(memory)
    assert isinstance(first.take("000000"), Held)
    met = second.take("000000")
    assert isinstance(met, Met)
    assert met.alive == bool(Owner.here().machine)
    first.let_go()


def test_the_heart_beats_while_something_is_held_and_ends_with_the_last(memory):
    leases = Leases(memory, period=0.01)
    assert not beating()
    leases.take("000000")
    end = time.monotonic() + 10
    while leases.standing()["000000"].counter < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert leases.standing()["000000"].counter >= 3
    assert all(thread.daemon for thread in beating()), "no heart keeps a program alive"
    leases.let_go()
    assert not beating()
    assert memory.list("lease/") == []
    leases.take("000000")
    assert beating(), "leases can be taken again"
    leases.let_go()


def beating():
    return [thread for thread in threading.enumerate() if thread.name == "jaxplain-heartbeat"]


def test_a_released_lease_is_not_brought_back_by_a_late_heartbeat(memory):
    leases = worker(memory)
    held = leases.take("000000")
    held.release()
    held.beat()
    assert memory.list("lease/") == []
    leases.let_go()


def test_two_that_find_one_dead_cannot_both_take_it(memory):
    gone = worker(memory)
    gone.take("000000")
    clocks = [Clock(), Clock()]
    observers = [worker(memory, clock=clock) for clock in clocks]
    for observer, clock in zip(observers, clocks, strict=True):
        observer.take("000000")
        clock.now += 3 * PERIOD
    taken = [observer.take("000000") for observer in observers]
    assert [type(one) for one in taken] == [Held, Met]


def test_damaged_leases_die_like_others(memory):
    memory.write("lease/000000.000001.json", b"{not json")
    memory.write("lease/000001.000003.json", json.dumps({"nonce": "x"}).encode())
    clock = Clock()
    observer = worker(memory, clock=clock)
    assert all(isinstance(observer.take(what), Met) for what in ("000000", "000001"))
    clock.now += 3 * PERIOD
    assert all(isinstance(observer.take(what), Held) for what in ("000000", "000001"))
    assert memory.list("lease/000001") == ["lease/000001.000003.json", "lease/000001.000004.json"]
    observer.let_go()
    assert memory.list("lease/") == []


class Forgetful:
    """A store on the network that does what it is asked and loses the first answers."""

    def __init__(self, storage, lost=1, done=True):
        self.storage, self.lost, self.done = storage, lost, done

    def __getattr__(self, name):
        return getattr(self.storage, name)

    def create(self, key, content):
        if self.lost:
            self.lost -= 1
            if self.done:
                self.storage.create(key, content)
            raise OSError(errno.ECONNRESET, "Connection reset by peer", key)
        return self.storage.create(key, content)


@pytest.mark.parametrize("done", [True, False])
def test_a_create_whose_answer_was_lost_is_read_back(memory, done):
    assert claim(Forgetful(memory, done=done), "a", b"nonce 1")
    assert not claim(Forgetful(memory, done=done), "a", b"nonce 2")
    assert memory.read("a") == b"nonce 1"


def test_a_marker_and_a_lease_survive_a_lost_answer(memory):
    forgetful = Forgetful(memory)
    assert Ledger(forgetful).mark(Marker("m", 0, 0, 8))
    assert not Ledger(memory).mark(Marker("m", 0, 0, 8))
    forgetful.lost = 1
    leases = worker(forgetful)
    assert isinstance(leases.take("000000"), Held)
    assert isinstance(worker(memory).take("000000"), Met)
    leases.let_go()


def test_a_store_that_cannot_be_written_is_told():
    class Full(Forgetful):
        def create(self, key, content):
            raise OSError(errno.ENOSPC, "No space left on device", key)

    with pytest.raises(OSError, match="No space left"):
        worker(Full(Storage.open(f"memory://leases{next(FRESH)}"))).take("000000")


def test_a_lease_tells_how_long_it_is_held_by_its_counter_alone():
    assert Lease("x", counter=12, period=10.0).seconds == 120.0
