"""Nothing waits for the device while a batch is started: reading, computing and fetching overlap."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np

import jaxplain
from jaxplain.core.model import Model
from jaxplain.engine.plan import Plan
from jaxplain.engine.run import run
from jaxplain.engine.shard import Shard
from jaxplain.engine.step import Step
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.engine.sweep_work import SweepWork
from jaxplain.testing.networks import SHAPE, images, smooth_network
from tests.engine.places import EXPLANATIONS, job, place, source

explaining = importlib.import_module("jaxplain.engine.explain")  # the package has a function of this name


def _slow(weights, batch):
    """A small network that takes about a second on any CPU."""
    turned = jax.lax.fori_loop(0, 3000, lambda _, x: jnp.tanh(x @ x), jnp.full((128, 128), 0.01))
    return batch.reshape(len(batch), -1) @ weights + turned[0, 0]


def test_batches_are_started_while_the_device_is_busy():
    model = Model(jnp.ones((int(np.prod(SHAPE)), 3)), _slow)
    step = Step.of(job(EXPLANATIONS[1:2], model=model), SHAPE, Plan(4, 2, "fast", 8))
    step.compile(["rows"])
    started = [step.start(np.arange(4), images(4), np.arange(4), ["rows"], {})[0] for _ in range(2)]
    assert not any(clean.prediction.is_ready() for clean in started)
    for clean in started:
        np.testing.assert_array_equal(clean.prediction, 0)


def order_of(monkeypatch, start, fetch) -> list[str]:
    """Record calls of two methods, by (class, name)."""
    order: list[str] = []
    for word, (cls, name) in {"start": start, "fetch": fetch}.items():
        original = getattr(cls, name)

        def recorded(*args, word=word, original=original, **keywords):
            order.append(word)
            return original(*args, **keywords)

        monkeypatch.setattr(cls, name, recorded)
    return order


def overlapping(n: int) -> list[str]:
    """The order in which each batch is started before the results of the one before are fetched."""
    return ["start", *["start", "fetch"] * (n - 1), "fetch"]


def test_a_run_starts_a_batch_before_it_fetches_the_one_before(monkeypatch):
    where, storage = place()
    run(job(EXPLANATIONS[:1]), source(22), where)  # planned and compiled
    where.ledger.unmark("rows", 0)
    for shard in range(3):
        where.ledger.unmark("gradient", shard)
    order = order_of(monkeypatch, (Step, "start"), (Shard, "put_rows"))
    run(job(EXPLANATIONS[:1]), source(22), place(storage.url)[0])
    assert order == overlapping(6)


def test_a_sweep_starts_a_batch_before_it_fetches_the_one_before_across_shards(monkeypatch):
    monkeypatch.setattr("jaxplain.engine.sweep.SHARD_BYTES", 1)
    order = order_of(monkeypatch, (SweepWork, "_sweep"), (jax, "device_get"))
    sweep(smooth_network(), source(14), [], Settings(fractions=(0.0, 0.5, 1.0), batch=4, resamples=0, n_random=10))
    assert order == overlapping(4)


def test_explaining_arrays_starts_a_batch_before_it_fetches_the_one_before(monkeypatch):
    order: list[str] = []

    def started(*arguments, **keywords):
        order.append("start")
        return Fetched(order), {}

    monkeypatch.setattr(explaining, "explain_batch", started)
    found = jaxplain.explain(smooth_network(), images(11), jaxplain.Logit(0), method="gradient", batch=4)
    assert order == overlapping(3)
    np.testing.assert_array_equal(found, np.ones((11, *SHAPE)))


class Fetched:
    """Maps of a batch that tell when they are fetched."""

    def __init__(self, order):
        self.order = order

    def __array__(self, dtype=None, copy=None):
        self.order.append("fetch")
        return np.ones((4, *SHAPE), np.float32)
