"""Shapley and Owen values of any game, against loops over orders, and the errors that samples state."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.kernel_regression import plan
from jaxplain.core.sampling import sample_key
from jaxplain.methods import (
    kernel_shap,
    kernel_shap_with_diagnostics,
    partition_shap,
    shapley_exact,
    shapley_sampling,
    shapley_sampling_with_diagnostics,
)
from jaxplain.testing import tol

LIMIT = 5.4
"""Standard deviations that a normal variable exceeds with a probability below 1e-7."""


def random_game(n, seed=0, scores=()):
    """A score for each coalition, and the function of players shown as 1 and hidden as 0 that has them."""
    table = np.random.default_rng(seed).normal(size=(2**n, *scores))
    numbers = 2.0 ** np.arange(n)
    return table, lambda x: jnp.asarray(table, x.dtype)[jnp.sum(x * jnp.asarray(numbers, x.dtype)).astype(int)]


def gains(table, orders):
    """The mean over orders of what each player adds, player by player, in a loop."""
    n = int(math.log2(len(table)))
    values, orders = np.zeros((n, *table.shape[1:])), list(orders)
    for order in orders:
        shown = 0
        for player in order:
            values[player] += (table[shown | 1 << player] - table[shown]) / len(orders)
            shown |= 1 << player
    return np.moveaxis(values, 0, -1)


def shapley(table):
    return gains(table, itertools.permutations(range(int(math.log2(len(table))))))


def run(method, f, x, **keywords):
    """The method compiled as one program, which takes less time than operation by operation."""
    return jax.jit(lambda x: method(f, x, **keywords))(x)


def known(n, dtype=jnp.float64, **others):
    return {"segments": np.arange(n), "baseline": jnp.zeros(n, dtype), **others}


@pytest.mark.parametrize(("n", "scores"), [(1, ()), (2, (2,)), (5, ()), (6, (3,))])
def test_all_coalitions_give_the_mean_over_all_orders(x64, n, scores):
    table, f = random_game(n, scores=scores)
    want, x = shapley(table), jnp.ones(n)
    rounding = tol(np.float64, terms=2**n, scale=float(np.abs(table).max()))
    np.testing.assert_allclose(run(shapley_exact, f, x, **known(n), chunk=5), want, **rounding)
    everything = run(kernel_shap, f, x, **known(n), key=jax.random.key(0), n_samples=max(1, 2 ** (n - 1) - n - 1))
    np.testing.assert_allclose(everything, want, **rounding)


def test_shapley_values_are_the_constrained_least_squares_fit_of_all_coalitions(x64):
    """Lundberg and Lee, theorem 2, solved with one player eliminated."""
    n = 5
    table, f = random_game(n, seed=3)
    rows = np.array([z for z in itertools.product([0, 1], repeat=n) if 0 < sum(z) < n])
    weights = np.array([1 / (math.comb(n, s) * s * (n - s)) for s in rows.sum(1)])
    change = table[-1] - table[0]
    scores = table[(rows * 2 ** np.arange(n)).sum(1)] - table[0] - rows[:, -1] * change
    root = np.sqrt(weights)[:, None]
    found = np.linalg.lstsq(root * (rows[:, :-1] - rows[:, -1:]), root[:, 0] * scores, rcond=None)[0]
    want = np.append(found, change - found.sum())
    np.testing.assert_allclose(run(shapley_exact, f, jnp.ones(n), **known(n)), want, rtol=1e-10, atol=1e-10)


def test_the_fit_to_some_coalitions_is_that_of_an_explicit_regression(x64):
    """The coalitions that are evaluated, whole sizes with their probability and draws with the rest, by NumPy."""
    n, n_samples, key = 7, 40, jax.random.key(4)
    table, f = random_game(n, seed=5)
    chosen = plan(n, n_samples, paired=True)
    assert chosen.drawn.tolist() == [3, 4] and len(chosen.whole) == math.comb(n, 2)
    law = {s: 1 / (s * (n - s)) for s in range(1, n)}
    rows, weights = [], []
    for members in itertools.product([0, 1], repeat=n):
        size = sum(members)
        if 0 < size < n and size not in chosen.drawn:
            rows.append(members)
            weights.append(law[size] / sum(law.values()) / math.comb(n, size))
    for i in range(chosen.n_draws):
        of_size, of_members = jax.random.split(sample_key(key, i))
        size = 3 if jax.random.uniform(of_size, dtype=jnp.float32) < np.float32(0.5) else 4
        drawn = np.asarray(jax.random.permutation(of_members, jnp.arange(n, dtype=jnp.int32)) < size).astype(int)
        rows += [drawn, 1 - drawn]
        weights += [(law[3] + law[4]) / sum(law.values()) / (2 * chosen.n_draws)] * 2
    rows, weights, change = np.array(rows), np.array(weights), table[-1] - table[0]
    scores = table[(rows * 2 ** np.arange(n)).sum(1)] - table[0] - rows[:, -1] * change
    root = np.sqrt(weights)[:, None]
    found = np.linalg.lstsq(root * (rows[:, :-1] - rows[:, -1:]), root[:, 0] * scores, rcond=None)[0]
    want = np.append(found, change - found.sum())
    got = run(kernel_shap, f, jnp.ones(n), **known(n, key=key), n_samples=n_samples)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("n", "budget"), [(4, 2), (4, 6), (6, 42), (6, 44), (6, 50), (9, 300), (12, 2048), (40, 64)])
@pytest.mark.parametrize("paired", [True, False])
def test_the_budget_buys_whole_sizes_from_the_outside_in_and_draws_for_the_rest(n, budget, paired):
    each = 2 if paired else 1
    chosen = plan(n, budget // each, paired=paired)
    sizes = chosen.whole.sum(1)
    for size in range(2, n // 2 + 1):
        count = math.comb(n, size) // (2 if 2 * size == n else 1)
        assert np.sum(sizes == size) == (0 if size in chosen.drawn else count)
    assert chosen.drawn.tolist() == [n - size for size in chosen.drawn[::-1]]
    both = {tuple(row) for row in chosen.whole} | {tuple(~row) for row in chosen.whole}
    assert len(both) == 2 * len(chosen.whole)
    outermost = 2 / (n - 1) / sum(1 / (s * (n - s)) for s in range(1, n))
    np.testing.assert_allclose(2 * chosen.probability.sum() + chosen.share + outermost, 1, rtol=1e-12)
    if len(chosen.drawn):
        assert 2 * len(chosen.whole) + each * chosen.n_draws == budget < 2**n - 2 - 2 * n
        assert plan(n, budget // each, paired=paired, whole=False).n_draws == budget // each
    else:
        assert chosen.n_draws == 0 and budget >= 2**n - 2 - 2 * n


def estimates(method, n, table_and_f, repeats, **knobs):
    """Values ``(repeats, n)`` and stated squared errors ``(repeats,)`` for as many keys."""
    _, f = table_and_f
    x = jnp.ones(n)

    def one(key):
        values, figures = method(f, x, **known(n, x.dtype, key=key), **knobs)
        return values, jnp.square(figures["stderr"]) * jnp.sum(jnp.square(values))

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(11), repeats))
    return tuple(np.asarray(part, np.float64) for part in found)


@pytest.mark.parametrize("antithetic", [True, False])
def test_random_orders_have_no_bias_and_the_error_that_they_state(antithetic):
    """Over 400 keys: means within 5.4 standard errors of the truth, a chance of 1e-7 each; squared errors likewise."""
    n, repeats = 6, 400
    game = random_game(n, seed=1)
    values, stated = estimates(shapley_sampling_with_diagnostics, n, game, repeats, n_samples=8, antithetic=antithetic)
    off = values - shapley(game[0])
    assert (np.abs(off.mean(0)) <= LIMIT * off.std(0, ddof=1) / repeats**0.5).all()
    difference = np.square(off).sum(1) - stated
    assert abs(difference.mean()) <= LIMIT * difference.std(ddof=1) / repeats**0.5
    np.testing.assert_allclose(values.sum(1), game[0][-1] - game[0][0], **tol(np.float32, terms=64, scale=4))


@pytest.mark.parametrize("paired", [True, False])
def test_the_fit_states_its_error(paired):
    """Over 400 keys the stated squared error is the true one within 15 % and 5.4 standard errors of the comparison.

    The formula is of the first order in the draws; with hundreds of them the next order is a few percent.
    """
    n, repeats = 10, 400
    game = random_game(n, seed=2)
    values, stated = estimates(kernel_shap_with_diagnostics, n, game, repeats, n_samples=400, paired=paired)
    squared = np.square(values - np.asarray(run(shapley_exact, game[1], jnp.ones(n), **known(n, jnp.float32)))).sum(1)
    difference = squared - stated
    allowed = 0.15 * stated.mean() + LIMIT * difference.std(ddof=1) / repeats**0.5
    assert abs(difference.mean()) <= allowed
    assert allowed < 0.6 * stated.mean()
    np.testing.assert_allclose(values.sum(1), game[0][-1] - game[0][0], **tol(np.float32, terms=64, scale=4))


def test_few_draws_do_not_seem_to_be_exact():
    """16 pairs for 9 free values, 400 keys: the stated squared error is not below the true one, nor twice as large."""
    game = random_game(10, seed=2)
    values, stated = estimates(kernel_shap_with_diagnostics, 10, game, 400, n_samples=16)
    want = np.asarray(run(shapley_exact, game[1], jnp.ones(10), **known(10, jnp.float32)))
    squared = np.square(values - want).sum(1)
    noise = LIMIT * (squared - stated).std(ddof=1) / 20
    assert squared.mean() - noise <= stated.mean() <= 2 * squared.mean() + noise
    assert noise < 0.5 * squared.mean()


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("method", [shapley_sampling_with_diagnostics, kernel_shap_with_diagnostics])
def test_the_error_is_that_of_the_map_whatever_the_size_of_segments(method, divided):
    """Segments of 1, 2 and 6 entries, 400 keys; bounds as for the fit."""
    table, f = random_game(8, seed=4)
    labels = np.repeat(np.arange(8), [1, 2, 6, 1, 1, 2, 1, 1])
    first, x = np.searchsorted(labels, np.arange(8)), jnp.ones(len(labels))
    shared = {"segments": labels, "baseline": 0 * x, "divided": divided}

    def one(key):
        maps, figures = method(lambda x: f(x[first]), x, **shared, key=key, n_samples=100)
        return maps, jnp.square(figures["stderr"]) * jnp.sum(jnp.square(maps))

    maps, stated = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(12), 400))
    maps, stated = np.asarray(maps, np.float64), np.asarray(stated, np.float64)
    want = np.asarray(run(shapley_exact, lambda x: f(x[first]), x, **shared))
    difference = np.square(maps - want).sum(1) - stated
    assert abs(difference.mean()) <= 0.15 * stated.mean() + LIMIT * difference.std(ddof=1) / 20
    sums = maps.sum(1) if divided else maps[:, first].sum(1)
    np.testing.assert_allclose(sums, table[-1] - table[0], **tol(np.float32, terms=64, scale=4))


def test_reversed_orders_and_pairs_are_nearer_to_the_truth_for_as_many_evaluations():
    """A smooth game, as networks are: the squared error falls to less than half, over 200 keys."""
    n = 12
    weights = np.random.default_rng(6).normal(size=n).astype(np.float32)
    f = lambda x: jnp.tanh(jnp.dot(x, jnp.asarray(weights, x.dtype)) - 0.5)  # noqa: E731
    x = jnp.ones(n)
    want = np.asarray(run(shapley_exact, f, x, **known(n, jnp.float32)))

    def error(method, **knobs):
        run = jax.jit(jax.vmap(lambda key: method(f, x, **known(n, jnp.float32, key=key), **knobs)))
        return np.square(np.asarray(run(jax.random.split(jax.random.key(3), 200))) - want).sum(1).mean()

    reversed_orders = error(shapley_sampling, n_samples=8), error(shapley_sampling, n_samples=16, antithetic=False)
    pairs = error(kernel_shap, n_samples=60), error(kernel_shap, n_samples=120, paired=False)
    assert reversed_orders[0] < 0.5 * reversed_orders[1]
    assert pairs[0] < 0.5 * pairs[1]


def owen(table, tree):
    """Owen values by a loop over all orders in which no group is interrupted."""

    def orders(node):
        if isinstance(node, int):
            return [(node,)]
        both = [(a, b) for a in orders(node[0]) for b in orders(node[1])]
        return [a + b for a, b in both] + [b + a for a, b in both]

    return gains(table, orders(tree))


@pytest.mark.parametrize(
    ("n", "merges", "tree"),
    [
        (5, None, (((0, 1), 2), (3, 4))),
        (4, None, ((0, 1), (2, 3))),
        (1, (), 0),
        (5, (3, 1, 0, 4, 5, 2, 6, 7), ((0, 4), ((3, 1), 2))),
        (5, (0, 1, 5, 2, 6, 3, 7, 4), ((((0, 1), 2), 3), 4)),
    ],
)
def test_partitions_give_the_mean_over_orders_that_interrupt_no_group(x64, n, merges, tree):
    table, f = random_game(n, seed=7, scores=(2,))
    got = run(partition_shap, f, jnp.ones(n), **known(n), merges=merges)
    np.testing.assert_allclose(got, owen(table, tree), **tol(np.float64, terms=2**n, scale=4))


def test_an_order_of_groups_ignores_whom_the_function_does_not_read(x64):
    _, f = random_game(6, seed=8)
    got = run(partition_shap, lambda x: f(x.at[2].set(1.0)), jnp.ones(6), **known(6))
    np.testing.assert_allclose(got[2], 0, atol=1e-14)


def test_groups_that_the_budget_leaves_closed_share_equally(x64):
    """Of six players 2 + 2 evaluations open the root alone, 2 + 2 + 4 the first half as well."""
    table, f = random_game(6, seed=9)
    left, right, both = table[0b000111] - table[0], table[0b111000] - table[0], table[-1] - table[0]
    halves = np.repeat([left + both - right, right + both - left], 3) / 6
    calls = []

    def counted(x):
        jax.debug.callback(lambda _: calls.append(1), x)
        return f(x)

    got = run(partition_shap, counted, jnp.ones(6), **known(6), n_evaluations=5)
    jax.effects_barrier()
    assert len(calls) == 4
    np.testing.assert_allclose(got, halves, rtol=1e-12)
    more = run(partition_shap, f, jnp.ones(6), **known(6), n_evaluations=8)
    np.testing.assert_allclose(more[3:], halves[3:], rtol=1e-12)
    np.testing.assert_allclose(more[0], more[1], rtol=1e-12)
    assert abs(more[2] - more[1]) > 1e-3
    np.testing.assert_allclose(more.sum(), both, rtol=1e-12)


@pytest.mark.parametrize("merges", [(0, 1), (0, 1, 2), (0, 1, 1, 2), (0, 4, 1, 2), (0, 1, 2, -1), (0, 1, 3, 2, 4, 4)])
def test_merges_that_are_no_tree_are_refused(merges):
    with pytest.raises(InputError, match=r"partition_shap: merges = .* are no tree of 3 segments; .*linkage"):
        partition_shap(jnp.sum, jnp.ones(3), **known(3, jnp.float32), merges=merges)


def test_more_segments_than_can_be_enumerated_are_refused_with_what_to_use():
    words = r"15 segments have 2\^15 coalitions.*use kernel_shap, shapley_sampling or partition_shap"
    with pytest.raises(InputError, match=words):
        shapley_exact(jnp.sum, jnp.ones(15), **known(15, jnp.float32))


@pytest.mark.parametrize("method", [shapley_sampling, kernel_shap])
def test_memory_does_not_grow_with_the_samples(method):
    x = jnp.ones((32, 32, 3))
    segments = np.arange(1024).reshape(32, 32) // 32

    def bytes_for(n):
        def run(x, key):
            return method(lambda x: jnp.sum(jnp.tanh(x) ** 2), x, key=key, segments=segments, baseline=0.0, n_samples=n)

        return jax.jit(run).lower(x, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    assert bytes_for(10_000) <= 1.05 * bytes_for(100)


def test_an_order_depends_on_its_number_and_the_key_alone():
    """The mean of six, less that of the first five, is the sixth."""
    table, f = random_game(5, seed=10)
    shared = known(5, jnp.float32, key=jax.random.key(1))
    five, six = (np.asarray(run(shapley_sampling, f, jnp.ones(5), **shared, n_samples=n)) for n in (5, 6))
    place = jax.random.permutation(sample_key(jax.random.key(1), 5), jnp.arange(5, dtype=jnp.int32))
    order = np.argsort(np.asarray(place)).tolist()
    want = gains(table, [order, order[::-1]])
    np.testing.assert_allclose(6 * six - 5 * five, want, **tol(np.float32, terms=64, scale=8))
