"""The stopwatch: what is timed, in which order, and what the interval of the median promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.timing import INTERVAL, Timings, compiled, interleaved, interval_of_median, reaches


@pytest.mark.parametrize("n", [6, 7, 12, 40, 41, 1500])
def test_the_interval_holds_the_median_with_95_percent_and_no_narrower_one_does(n):
    low, high = interval_of_median(list(np.random.default_rng(n).permutation(n).astype(float)))
    assert low + high == n - 1  # the values are their own ranks, from 0: the interval is symmetric
    assert 2 * binom.cdf(low, n, 0.5) <= 0.05 < 2 * binom.cdf(low + 1, n, 0.5)


def test_few_values_give_their_extremes():
    assert interval_of_median([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert interval_of_median([3.0]) == (3.0, 3.0)


def test_the_interval_covers_the_median_as_often_as_it_says():
    # 2,000 draws of 40: the coverage is 0.962, its standard deviation over draws 0.0043; five of them below is 0.94.
    draws = np.random.default_rng(0).exponential(size=(2000, 40))
    bounds = np.array([interval_of_median(list(draw)) for draw in draws])
    assert 0.94 < np.mean((bounds[:, 0] <= np.log(2)) & (np.log(2) <= bounds[:, 1])) < 0.984


def test_runs_alternate_after_one_round_without_a_clock():
    made = []
    found = interleaved({name: lambda name=name: made.append(name) for name in "abc"}, pairs=3)
    assert "".join(made) == "abc" + "abc" + "cba" + "abc"
    assert {name: len(values) for name, values in found.seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_the_clock_is_read_when_the_device_is_done():
    waits = []
    interleaved({"one": lambda: waits.append("run")}, pairs=2, synchronize=lambda: waits.append("wait"))
    assert waits == ["run", "wait", "run", "wait", "wait", "run", "wait"]


def test_a_ratio_is_that_of_pairs_not_of_medians():
    found = Timings({"slow": [2.0, 6.0, 9.0], "fast": [1.0, 2.0, 9.0]}).ratio("slow", "fast")
    assert found["values"] == [2.0, 3.0, 1.0] and found["median"] == 2.0 and found[INTERVAL] == [1.0, 3.0]
    four = Timings({"one": [1.0] * 6, "whole": [5.0] * 6}).ratio("one", "whole", times=4)
    assert four["median"] == 0.8 and reaches(four, 0.8) and not reaches(four, 0.81)


def test_a_compiled_program_runs_and_knows_its_costs():
    a = jnp.ones((8, 16)), jnp.ones((16, 4))
    program = compiled(jnp.matmul, *a)
    np.testing.assert_array_equal(program.run(), jnp.full((8, 4), 16.0))
    assert program.flops == 2 * 8 * 16 * 4
    assert program.peak_bytes >= 4 * (8 * 16 + 16 * 4 + 8 * 4)
    stages = program.record()["seconds"]
    assert list(stages) == ["trace", "lower", "compile", "first run"] and min(stages.values()) > 0
    np.testing.assert_allclose(sum(stages.values()) - stages["first run"], program.startup_s, rtol=1e-4)


def test_a_long_first_run_may_be_left_out():
    runs = []
    program = compiled(lambda x: jax.debug.callback(lambda: runs.append(1)), 1.0, first_run=False)
    assert not runs and program.first_s is None and "first run" not in program.record()["seconds"]


def test_a_jitted_function_keeps_its_static_keywords():
    power = jax.jit(lambda x, *, n: x**n, static_argnames="n")
    np.testing.assert_array_equal(compiled(power, jnp.array([2.0, 3.0]), n=3).run(), [8.0, 27.0])
