"""What a run tells of its time and its work: who waited for what, and operations by XLA's count."""

import time

import jax
import jax.numpy as jnp
import pytest

from jaxplain.engine.loops import loop_factor
from jaxplain.engine.run import run
from jaxplain.engine.usage import Executable, Operations, calls, counted, operations, product_rate
from jaxplain.engine.waits import Waits
from jaxplain.io.sink import StoreSink
from tests.engine.places import EXPLANATIONS, job, place, source

N = 32


def product(times: int = 1):
    """A compiled chain of matrix products, in a loop where there are several."""

    def f(x):
        if times == 1:
            return x @ x
        return jax.lax.fori_loop(0, times, lambda _, y: y @ x, x)

    return jax.jit(f).lower(jnp.zeros((N, N))).compile()


def test_the_operations_of_a_program_are_xla_s_count_with_loops_as_often_as_they_run():
    once, loop = counted(product()), counted(product(10))
    assert once.whole and once.number == 2 * N**3
    assert loop.whole and loop.number == pytest.approx(10 * 2 * N**3, rel=0.01)


def test_a_loop_that_does_not_tell_how_often_it_runs_makes_it_a_lower_bound():
    def until(x):
        return jax.lax.while_loop(lambda x: jnp.sum(x) < 9, lambda x: x @ x + 1, x)

    found = counted(jax.jit(until).lower(jnp.zeros((N, N))).compile())
    assert not found.whole and 2 * N**3 <= found.number < 2 * 2 * N**3


def convolved(x):
    kernel = jnp.ones((3, 3, 4, 8))
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.parametrize(
    ("work", "factor"),
    [
        (lambda x: x, 1.0),
        (lambda x: jax.lax.fori_loop(0, 7, lambda i, y: y @ y, x), 7.0),
        (lambda x: x @ jax.lax.fori_loop(0, 7, lambda i, y: y @ y, x), 4.0),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: jax.lax.fori_loop(0, 5, lambda j, z: z @ z, y), x), 15.0),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: jax.lax.cond(y[0, 0] > 0, jnp.matmul, jnp.add, y, y), x), 3.0),
        # One product of 2 N^3 beside six convolutions of 2 (N - 2)^2 3 3 4 8.
        (
            lambda x: x @ x + jax.lax.map(convolved, jnp.broadcast_to(x[:, :, None], (6, 1, N, N, 4))).sum(),
            (N**3 + 6 * (N - 2) ** 2 * 288) / (N**3 + (N - 2) ** 2 * 288),
        ),
    ],
)
def test_products_in_loops_are_counted_as_often_as_they_run(work, factor):
    text = jax.jit(work).lower(jnp.ones((N, N))).compile().as_text()
    assert loop_factor(text) == pytest.approx(factor)


def test_operations_are_those_of_the_calls_in_between():
    programs = {"one": Executable(product()), "loop": Executable(product(10))}
    x = jnp.zeros((N, N))
    programs["loop"](x)
    before = calls(programs)
    assert operations(programs, before) == Operations(0.0, True)
    for _ in range(3):
        programs["one"](x)
    assert operations(programs, before) == Operations(3 * 2 * N**3, True)
    assert operations(programs, before, devices=2).number == 2 * 3 * 2 * N**3
    programs["loop"](x)
    assert operations(programs, before).number == pytest.approx((3 + 10) * 2 * N**3, rel=0.01)


def test_a_program_that_does_not_tell_is_not_guessed_at():
    class Silent:
        def cost_analysis(self):
            raise NotImplementedError

    class Wordless:
        def cost_analysis(self):
            return [{"flops": -1.0}]

        def as_text(self):
            return ""

    assert counted(Silent()) == counted(Wordless()) == Operations(None, False)
    silent = {"silent": Executable(Silent())}
    silent["silent"].calls = 2
    assert operations(silent, {}) == Operations(None, False)


@pytest.mark.parametrize("precision", ["fast", "bf16"])
def test_the_rate_of_a_matrix_product_is_that_of_some_machine(precision):
    """Between a slow core and more than any device has; twice as many devices are twice as fast."""
    assert 1e7 < product_rate(precision) < 1e17
    assert 1e7 < product_rate(precision, 4) < 4e17


def test_shares_are_of_the_time():
    waits = Waits()
    with pytest.raises(ValueError, match="x"), waits.on("output"):
        raise ValueError("x")
    assert waits.output > 0 and waits.input == waits.device == 0
    assert Waits(1.0, 2.0, 0.5).shares(4.0) == {"input": 0.25, "device": 0.5, "output": 0.125}
    assert Waits(1.0).shares(0.0)["input"] == 0.0


def test_a_slow_source_shows_as_waiting_for_input_and_a_slow_sink_as_waiting_for_output(monkeypatch):
    """Ten batches of 20 ms each, two at once, against batches of well below a millisecond on the device."""
    slow, write = source(37), StoreSink.write
    read = slow.read
    events = []
    monkeypatch.setattr(slow, "read", lambda rows: (time.sleep(0.02), read(rows))[1])
    summary = run(job(EXPLANATIONS[:1]), slow, place()[0], watch=events.append)
    assert summary.waits.input > max(summary.waits.output, 0.02)
    assert sum(summary.waits.shares(summary.seconds).values()) <= 1.001
    told = [event.waiting for event in events if getattr(event, "waiting", None) is not None]
    assert len(told) == 10 and told[-1]["input"] <= summary.waits.input
    assert summary.operations.number > 0 and summary.operations_per_second > 0
    monkeypatch.setattr(StoreSink, "write", lambda *words: (time.sleep(0.05), write(*words))[1])
    summary = run(job(EXPLANATIONS[:1]), source(37), place()[0])
    assert summary.waits.output > max(summary.waits.input, 0.05)
