"""Sampling until a tolerance is met: who stops when, what is stored, that nothing depends on grouping or on a stop."""

import contextlib
import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits, Predicted
from jaxplain.core.estimate import next_round
from jaxplain.core.sampling import image_key
from jaxplain.core.score import Score
from jaxplain.engine.events import Advanced, Started
from jaxplain.engine.job import Explanation
from jaxplain.engine.lift import id_words
from jaxplain.engine.rounds import Queue, Stopping, filled
from jaxplain.engine.run import run
from jaxplain.io.sources.arrays import array_source
from jaxplain.methods import integrated_gradients
from jaxplain.methods.smoothgrad import smoothgrad_in_rounds
from jaxplain.testing import tol
from jaxplain.testing.compiles import count_compiles
from jaxplain.testing.networks import images, relu_network, smooth_network
from tests.engine.places import content, job, place, source

N, FIRST, BUDGET, BAD = 22, 4, 50, 5
COUNTS = (4, 8, 16, 32, 50)
# Of larger images the network saturates, and their gradients vary more.
PIXELS = images(N) * np.geomspace(0.1, 3, N, dtype=np.float32).reshape(N, 1, 1, 1)
GOOD = np.arange(N) != BAD
TARGET = Logit(2)


@contextlib.contextmanager
def quietly():
    """For runs whose budget may or may not suffice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def pictures():
    """The images as a source, one of them bad."""
    pixels = PIXELS.copy()
    pixels[BAD, 0, 0, 0] = np.nan
    return array_source(pixels, np.arange(N) % 5)


def standard_errors(counts, target=TARGET):
    """What SmoothGrad reports of so many samples per image, with the keys of a run of seed 0."""

    @jax.jit
    def of_images(pixels, words, n):
        def one(x, words):
            key = image_key(jax.random.key(0), words)
            estimate = smoothgrad_in_rounds(Score(smooth_network(), target), x, key=key, sigma=0.15)
            return next_round(estimate, None, jnp.int32(0), n, chunk=8).error

        return jax.vmap(one)(pixels, words)

    return np.stack([np.asarray(of_images(PIXELS, id_words(np.arange(N)), np.int32(n))) for n in counts])


@pytest.fixture(scope="module")
def errors():
    """Standard errors after every round; the tolerance lies between two images after the third."""
    found = standard_errors(COUNTS)
    halves = np.sort(found[2])[N // 2 - 1 : N // 2 + 1]
    return found, float(halves.mean())


def explanation(tolerance, budget=BUDGET, name="sg"):
    stopping = Stopping(tolerance, budget)
    return Explanation(name, "smoothgrad", {"n_samples": FIRST}, {"tolerance": tolerance}, stopping)


@pytest.fixture(scope="module")
def finished(errors):
    where, storage = place()
    with quietly():
        summary = run(job([explanation(errors[1])], target=TARGET, store="float32"), pictures(), where)
    return summary, storage


def rounds_of(errors, tolerance):
    """The round after which each image stops."""
    met = errors <= tolerance
    return np.where(met.any(axis=0), met.argmax(axis=0), len(errors) - 1), met.any(axis=0)


def test_every_image_stops_after_the_round_that_meets_the_tolerance(errors, finished):
    found, tolerance = errors
    last, met = rounds_of(found, tolerance)
    store = jaxplain.open(finished[1].url)
    np.testing.assert_array_equal(store.rows("evaluations/sg"), np.where(GOOD, np.array(COUNTS)[last], 0))
    assert len(set(last[GOOD])) > 2, "the test needs images that stop at different times"
    np.testing.assert_array_equal(store.rows("converged/sg"), met & GOOD)
    want = found[last, np.arange(N)]
    np.testing.assert_allclose(store.rows("stderr/sg")[GOOD], want[GOOD], rtol=1e-3)
    assert np.isnan(store.rows("stderr/sg")[BAD])
    assert np.isnan(store.maps("sg")[BAD]).all()


def test_a_map_is_that_of_as_many_samples_at_once(finished):
    store = jaxplain.open(finished[1].url)
    used, maps = store.rows("evaluations/sg"), store.maps("sg")[:]
    for n in (8, 50):
        want = jaxplain.explain(
            smooth_network(), PIXELS, TARGET, method="smoothgrad", key=jax.random.key(0), n_samples=n, batch=4
        )
        own = (used == n) & GOOD
        np.testing.assert_allclose(
            maps[own], want[own], **tol(np.float32, terms=n, scale=np.abs(want).max(), safety=64)
        )


@pytest.mark.parametrize("after", [0, 3])
def test_a_stopped_run_ends_with_the_same_bytes(errors, finished, after):
    where, storage = place()
    steps = []

    def stop(event):
        if isinstance(event, Advanced) and event.stage == "explain":
            steps.append(event)
            if len(steps) > after:
                raise InterruptedError

    own = job([explanation(errors[1])], target=TARGET, store="float32")
    with pytest.raises(InterruptedError):
        run(own, pictures(), where, watch=stop)
    again(own, storage)
    assert content(storage) == content(finished[1])


def again(own, storage):
    """Run to the end, whatever it warns of."""
    with quietly():
        assert run(own, pictures(), place(storage.url)[0]).complete


@pytest.mark.parametrize("request_", [{"batch": 22, "rows_per_shard": 22}, {"batch": 3, "rows_per_shard": 12}])
def test_grouping_changes_rounding_only(errors, finished, request_):
    _, storage = place()
    again(job([explanation(errors[1])], target=TARGET, store="float32", **request_), storage)
    want, got = (jaxplain.open(one.url) for one in (finished[1], storage))
    np.testing.assert_array_equal(got.rows("evaluations/sg"), want.rows("evaluations/sg"))
    np.testing.assert_array_equal(got.rows("converged/sg"), want.rows("converged/sg"))
    scale = np.nanmax(np.abs(want.maps("sg")[:]))
    np.testing.assert_allclose(
        got.maps("sg")[:], want.maps("sg")[:], **tol(np.float32, terms=50, scale=scale, safety=64)
    )


def test_arrays_in_memory_stop_at_the_same_place(errors, finished):
    good, tolerance = np.flatnonzero(GOOD), errors[1]
    call = {"method": "smoothgrad", "key": jax.random.key(0), "n_samples": FIRST, "batch": 4, "ids": good}
    with quietly():
        got = jaxplain.explain(smooth_network(), PIXELS[good], TARGET, tolerance=tolerance, budget=BUDGET, **call)
    want = jaxplain.open(finished[1].url).maps("sg")[good]
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=50, scale=np.abs(want).max(), safety=64))


def test_one_program_does_all_rounds_and_the_stream_compiles_nothing(errors):
    where, _ = place()
    counts = []

    def watch(event):
        if isinstance(event, Started) and event.stage == "explain":
            counts.append(stream.__enter__())

    stream = count_compiles()
    with quietly():
        summary = run(job([explanation(errors[1])], target=TARGET), source(11), where, watch=watch)
    stream.__exit__(None, None, None)
    assert [count.programs for count in counts] == [0]
    assert set(summary.compiled) == {"clean pass", "sg"}


def test_a_budget_that_does_not_suffice_warns_once_and_marks_the_images():
    where, storage = place()
    with pytest.warns(UserWarning) as warned:
        run(job([explanation(1e-6, budget=10)], target=Predicted()), source(9), where)
    (warning,) = warned
    assert "9 of 9 images of 'sg' stay above the tolerance 1e-06, with errors up to" in str(warning.message)
    assert "after at most 10 evaluations each" in str(warning.message)
    store = jaxplain.open(storage.url)
    assert not store.rows("converged/sg").any()
    assert (store.rows("evaluations/sg") == 10).all()
    with pytest.warns(UserWarning, match="explain: 3 of 3 images of 'smoothgrad' stay above"):
        jaxplain.explain(
            smooth_network(), PIXELS[:3], TARGET, method="smoothgrad", key=jax.random.key(0), tolerance=1e-6, budget=60
        )


def test_without_kept_maps_the_partials_do_not_depend_on_a_stop_nor_on_who_is_done_first(errors):
    stores = []
    for interrupted in (False, True):
        where, storage = place()
        where = dataclasses.replace(where, blobs=storage)
        own = job([explanation(errors[1])], target=TARGET, store="none", n_labels=5, rows_per_shard=12)
        if interrupted:
            with pytest.raises(InterruptedError):
                run(own, pictures(), where, watch=_stop_in_second_shard)
        with quietly():
            run(own, pictures(), where)
        keys = [key for key in storage.list() if key.startswith(("partials/", "rows/"))]
        stores.append(dict(zip(keys, storage.read_many(keys), strict=True)))
    assert stores[0] == stores[1]


def _stop_in_second_shard(event):
    if isinstance(event, Advanced) and event.where == "shard 1":
        raise InterruptedError


def paths(n_steps, network, rule="trapezoid"):
    """Integrated gradients of all images by one rule."""
    call = {"baseline": 0.0, "n_steps": n_steps, "rule": rule, "precision": "exact"}
    return jaxplain.explain(network, PIXELS, TARGET, method="integrated_gradients", **call)


def test_paths_halve_their_steps_until_map_and_gap_stand_still():
    tolerance, keywords = 0.02, {"baseline": 0.0, "n_steps": 3}
    explanations = [Explanation("ig", "integrated_gradients", keywords, {}, Stopping(tolerance))]
    where, storage = place()
    assert run(
        job(explanations, target=TARGET, store="float32"), array_source(PIXELS, np.arange(N) % 5), where
    ).complete
    store = jaxplain.open(storage.url)
    assert store.rows("converged/ig").all()
    assert (store.rows("step/ig") <= tolerance).all()
    used, maps = store.rows("evaluations/ig"), store.maps("ig")[:]
    assert set(used.tolist()) <= {5, 9, 17, 33, 65, 129, 257}
    change = maps.reshape(N, -1).sum(axis=1) - store.rows("gap/ig")
    assert (np.abs(store.rows("gap/ig") / change) <= tolerance).all()
    for n in set(used.tolist()):
        want = paths(n, smooth_network())
        own = used == n
        np.testing.assert_allclose(
            maps[own], want[own], **tol(np.float32, terms=n, scale=np.abs(want).max(), safety=64)
        )


def test_the_step_predicts_the_error_of_a_path_better_than_the_gap():
    """On a ReLU network, whose gradient jumps along the path: errors against a rule of 513 nodes."""
    network = relu_network()
    truth, coarse, fine = (paths(n, network).reshape(N, -1) for n in (513, 17, 33))
    norm = lambda maps: np.linalg.norm(maps, axis=1)  # noqa: E731
    error, step = norm(fine - truth) / norm(truth), norm(fine - coarse) / norm(fine)
    score = np.asarray(network(PIXELS) - network(0 * PIXELS))[:, 2]
    gap = np.abs(fine.sum(axis=1) / score - 1)
    small = gap < 0.01
    assert small.sum() >= 3
    assert (error[small] > 0.02).all(), "the gap hides errors that cancel in the sum"
    spread = lambda ratio: np.ptp(np.log(ratio))  # noqa: E731
    assert spread(error / step) < spread(error / gap) / 2
    assert 0.3 < np.median(error / step) < 1.5


def test_several_scores_stop_together_when_the_worst_meets_the_tolerance():
    target, (where, storage) = Logits(np.array([0, 3])), place()
    found = standard_errors(COUNTS, target)
    tolerance = float(np.sort(found[1])[N // 2 - 1 : N // 2 + 1].mean())
    with quietly():
        run(job([explanation(tolerance)], target=target), pictures(), where)
    last, met = rounds_of(found, tolerance)
    store = jaxplain.open(storage.url)
    np.testing.assert_array_equal(store.rows("converged/sg"), met & GOOD)
    np.testing.assert_array_equal(store.rows("evaluations/sg"), np.where(GOOD, np.array(COUNTS)[last], 0))
    reached = store.rows("stderr/sg")[GOOD]
    assert reached.shape == (N - 1, 2)
    np.testing.assert_allclose(reached.max(axis=1), found[last, np.arange(N)][GOOD], rtol=1e-3)


def test_a_queue_cuts_each_round_into_batches_in_order_and_gives_the_rest_last():
    queue = Queue(3)
    queue.put(1, {"row": np.arange(4)}, np.array([0, 2, 3]))
    queue.put(1, {"row": np.arange(4, 8)}, np.array([1]))
    queue.put(2, {"row": np.arange(9, 11)}, np.array([0]))
    number, batch = queue.take(rest=False)
    assert (number, batch["row"].tolist()) == (1, [0, 2, 3])
    assert queue.take(rest=False) is None
    assert [(number, batch["row"].tolist()) for number, batch in (queue.take(rest=True), queue.take(rest=True))] == [
        (1, [5]),
        (2, [9]),
    ]
    assert queue.take(rest=True) is None
    assert filled({"row": np.array([5, 7])}, 4)["row"].tolist() == [5, 7, 7, 7]


@pytest.mark.parametrize(
    ("method", "keywords", "match"),
    [
        ("smoothgrad", {"tolerance": 0.0}, "tolerance = 0.0 must be a positive number"),
        ("smoothgrad", {"tolerance": float("nan")}, "tolerance = nan must be a positive number"),
        ("smoothgrad", {"budget": 100}, "budget = 100 has no meaning without a tolerance"),
        ("smoothgrad", {"tolerance": 0.1, "budget": 0}, "budget = 0 must be at least 1"),
        ("smoothgrad", {"tolerance": 0.1, "budget": 10}, "smoothgrad: the first round takes 50 samples"),
        ("gradient", {"tolerance": 0.1}, "gradient: it takes no tolerance; these methods do: .*smoothgrad"),
        ("integrated_gradients", {"tolerance": 0.1, "rule": "midpoint", "baseline": 0.0}, "rule cannot be chosen"),
        ("integrated_gradients", {"tolerance": 0.1, "n_steps": 1, "baseline": 0.0}, "at least 2 nodes"),
    ],
)
def test_what_cannot_be_is_refused(method, keywords, match):
    with pytest.raises(InputError, match=match):
        jaxplain.explain(smooth_network(), PIXELS, TARGET, method=method, key=jax.random.key(0), **keywords)


def test_the_rule_of_the_rounds_may_be_named():
    given = {"baseline": 0.0, "n_steps": 3, "tolerance": 0.1}
    maps = [
        jaxplain.explain(smooth_network(), PIXELS[:2], TARGET, method=integrated_gradients, **given, **rule)
        for rule in ({}, {"rule": "trapezoid"})
    ]
    np.testing.assert_array_equal(*maps)
