"""The run: what it stores, how it goes on after a stop, what it refuses, what it quarantines."""

import contextlib
import dataclasses
import errno
import time

import jax
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits
from jaxplain.engine.events import Advanced, Noted, Started
from jaxplain.engine.finalize import finalize
from jaxplain.engine.job import Explanation
from jaxplain.engine.partials import finalize_partials
from jaxplain.engine.run import run
from jaxplain.io.encoding import ERROR_BOUND
from jaxplain.testing import tol
from jaxplain.testing.compiles import Count, count_compiles
from jaxplain.testing.networks import images, smooth_network
from tests.engine.places import EXPLANATIONS, content, job, place, source


@pytest.fixture(scope="module")
def undisturbed():
    where, storage = place()
    summary = run(job(), source(bad=[5]), where)
    return summary, storage


def test_stores_the_maps_that_explain_returns(undisturbed):
    summary, storage = undisturbed
    assert summary.complete
    assert summary.images == 37
    store = jaxplain.open(storage.url)
    pixels = images(37)
    good = np.arange(37) != 5
    for explanation in EXPLANATIONS:
        keywords = (
            {**explanation.keywords, "chunk": 2}
            if explanation.method in ("smoothgrad", "integrated_gradients")
            else explanation.keywords
        )
        want = jaxplain.explain(
            smooth_network(),
            pixels,
            jaxplain.Predicted(),
            method=explanation.method,
            key=jax.random.key(0),
            batch=4,
            **keywords,
        )
        got = store.maps(explanation.name)[:]
        assert got.shape == want.shape
        largest = np.abs(want[good]).reshape(36, -1).max(axis=1)
        error = np.abs(got[good] - want[good]).reshape(36, -1).max(axis=1)
        assert (error <= 1.01 * ERROR_BOUND * largest).all()


def test_rows_hold_labels_predictions_scores_and_figures(undisturbed):
    _, storage = undisturbed
    store = jaxplain.open(storage.url)
    logits = np.asarray(smooth_network()(images(37)))
    good = np.arange(37) != 5
    np.testing.assert_array_equal(store.rows("label"), np.arange(37) % 5)
    np.testing.assert_array_equal(store.rows("status"), np.where(good, 0, 2))
    np.testing.assert_array_equal(store.rows("prediction"), np.where(good, logits.argmax(1), -1))
    np.testing.assert_array_equal(store.rows("target"), np.where(good, logits.argmax(1), -1))
    np.testing.assert_allclose(store.rows("score")[good], logits.max(1)[good], **tol(np.float32, terms=100, scale=3))
    assert np.isnan(store.rows("score")[5])
    assert np.isfinite(store.rows("stderr/sg")[good]).all()
    assert (np.abs(store.rows("gap/ig")[good]) < 0.05).all()
    assert np.isnan(store.maps("sg")[5]).all()
    assert not np.isnan(store.maps("sg")[good]).any()


def test_a_finished_run_does_nothing_again(undisturbed):
    _, storage = undisturbed
    before = content(storage)
    where, _ = place(storage.url)
    summary = run(job(), source(bad=[5]), where)
    assert summary.images == 0
    assert summary.complete
    assert content(storage) == before


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 3, 6, 8])
def test_a_stopped_run_ends_with_the_same_bytes(undisturbed, after):
    where, storage = place()
    steps = []

    def stop(event):
        if isinstance(event, Advanced) and event.stage == "explain":
            steps.append(event)
            if len(steps) > after:
                raise Killed

    with pytest.raises(Killed):
        run(job(), source(bad=[5]), where, watch=stop)
    with pytest.raises(InputError, match=r"unfinished|not finished|finished"):
        jaxplain.open(storage.url).maps("sg")[:]
    resumed = run(job(), source(bad=[5]), place(storage.url)[0])
    assert resumed.complete
    assert content(storage) == content(undisturbed[1])


def test_a_method_can_be_added_and_nothing_else_is_touched(undisturbed):
    where, storage = place()
    run(job(EXPLANATIONS[:2]), source(bad=[5]), where)
    before = content(storage)
    with count_compiles():
        summary = run(job(EXPLANATIONS), source(bad=[5]), place(storage.url)[0])
    assert summary.complete
    after = content(storage)
    assert {key: after[key] for key in before} == before
    assert after == content(undisturbed[1])


def test_methods_that_share_a_program_end_with_the_same_bytes_when_only_some_are_missing():
    """A kill between two markers of a shard leaves such a state; float32 maps would show one bit."""
    where, storage = place()
    run(job(store="float32"), source(bad=[5]), where)
    before = content(storage)
    assert where.manifest.read()["plan"]["together"] == ["gradient", "cam"]
    for name, shard in (("cam", 1), ("sg", 1), ("gradient", 3), ("rows", 4)):
        where.ledger.unmark(name, shard)
    steps = []
    summary = run(job(store="float32"), source(bad=[5]), place(storage.url)[0], watch=steps.append)
    assert summary.images == 8 + 8 + 5
    assert set(summary.compiled) == {"clean pass, gradient, cam", "sg"}
    assert content(storage) == before


def test_sharing_a_program_changes_rounding_only():
    maps = {}
    for together in (True, False):
        where, storage = place()
        run(job(store="float32", together=together), source(10), where)
        maps[together] = {name: jaxplain.open(storage.url).maps(name)[:] for name in ("gradient", "cam")}
    for name, want in maps[False].items():
        np.testing.assert_allclose(maps[True][name], want, **tol(np.float32, terms=100, scale=np.abs(want).max()))


def test_every_program_is_compiled_before_the_first_batch():
    """The stream compiles nothing, ragged batches included."""
    seen, stream = [], contextlib.ExitStack()

    def watch(event):
        seen.append(event)
        if isinstance(event, Started) and event.stage == "explain":
            seen.append(stream.enter_context(count_compiles()))

    where, _ = place()
    with stream:
        summary = run(job(), source(11), where, watch=watch)
    counts = [event for event in seen if isinstance(event, Count)]
    assert [count.programs for count in counts] == [0]
    stages = [event.stage for event in seen if not isinstance(event, Count)]
    assert stages.index("compile") < stages.index("explain")
    assert "compile" not in stages[stages.index("explain") :]
    assert set(summary.compiled) == {"clean pass, gradient, cam", "sg", "ig"}
    assert all(one.compile_seconds > 0 and one.trace_seconds > 0 for one in summary.compiled.values())


def test_shards_and_batches_change_rounding_only(undisturbed):
    _, storage = undisturbed
    want = jaxplain.open(storage.url).maps("sg")[:]
    for request in ({"batch": 37, "rows_per_shard": 37}, {"batch": 3, "rows_per_shard": 12}):
        where, other = place()
        run(job(EXPLANATIONS[1:2], **request), source(bad=[5]), where)
        got = jaxplain.open(other.url).maps("sg")[:]
        np.testing.assert_allclose(got, want, rtol=0, atol=2 * ERROR_BOUND * np.nanmax(np.abs(want)))


def test_exact_storage_and_several_targets():
    where, storage = place()
    target = Logits(np.array([4, 1]))
    run(job(EXPLANATIONS[:1], target=target, store="float32", together=False), source(10), where)
    store = jaxplain.open(storage.url)
    want = jaxplain.explain(smooth_network(), images(10), target, method="gradient", batch=4)
    np.testing.assert_array_equal(store.maps("gradient")[:], want)
    assert store.maps("gradient").dims == ("image", "target", "y", "x", "channel")
    assert store.rows("score").shape == (10, 2)


def test_a_label_per_image_follows_the_rows():
    labels = np.arange(10) % 5
    where, storage = place()
    run(job(EXPLANATIONS[:1], target=Logit(labels), store="float32", together=False), source(10), where)
    want = jaxplain.explain(smooth_network(), images(10), Logit(labels), method="gradient", batch=4)
    np.testing.assert_array_equal(jaxplain.open(storage.url).maps("gradient")[:], want)
    np.testing.assert_array_equal(jaxplain.open(storage.url).rows("target"), labels)


def test_one_program_per_method_and_ragged_end():
    """The last shard and the last batch are ragged; nothing compiles for them."""
    where, _ = place()
    run(job(), source(16), where)
    other, _ = place()
    with count_compiles() as count:
        run(job(), source(21), other)
    assert count.programs <= 2  # the probe sees the same images; writing compiles nothing


def test_another_job_is_refused_with_the_keys_that_differ(undisturbed):
    _, storage = undisturbed
    before = content(storage)
    for changed, match in (
        (job(spec={"model": "smooth", "seed": 1}), r"seed: 0 in the store, 1 in the job"),
        (job(store="float32"), r"plan\.store"),
        (
            job([dataclasses.replace(EXPLANATIONS[1], spec={"n_samples": 4})]),
            "made with other settings|exists with other",
        ),
        (job(model=smooth_network(seed=3)), "model's outputs"),
    ):
        with pytest.raises(InputError, match=match):
            run(changed, source(bad=[5]), place(storage.url)[0])
    assert content(storage) == before


def test_another_device_is_refused_unless_replanned(undisturbed, monkeypatch):
    _, storage = undisturbed
    monkeypatch.setattr("jaxplain.engine.open_run.device_kind", lambda: "another device")
    with pytest.raises(InputError, match="--replan"):
        run(job(), source(bad=[5]), place(storage.url)[0])
    assert run(job(), source(bad=[5]), place(storage.url)[0], replan=True).complete


def test_too_many_bad_images_stop_the_run():
    where, storage = place()
    seen = []
    with pytest.raises(InputError, match="max_bad = 1"):
        run(job(max_bad=1), source(bad=[1, 2, 3]), where, watch=seen.append)
    assert next(event.text for event in seen if isinstance(event, Noted)).startswith(
        "image 1: NaN or Inf in the pixels"
    )
    assert not [key for key in storage.list("done/")]


def test_bad_images_of_earlier_runs_count():
    where, storage = place()

    def stop(event):
        if isinstance(event, Advanced) and event.where == "shard 2":
            raise Killed

    with pytest.raises(Killed):
        run(job(EXPLANATIONS[:1], max_bad=2), source(bad=[1, 2, 30]), where, watch=stop)
    wait_until(lambda: len(place(storage.url)[0].ledger.finished("rows")) == 2)
    with pytest.raises(InputError, match="3 images could not be used, more than max_bad = 2"):
        run(job(EXPLANATIONS[:1], max_bad=2), source(bad=[1, 2, 30]), place(storage.url)[0])


def wait_until(holds, seconds=20):
    """A writer thread may still be busy when the run has stopped."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_bad_logits_are_quarantined():
    model = smooth_network()
    pixels = images(6)
    pixels[2] = 1e38  # finite, but its convolution overflows
    from jaxplain.io.sources.arrays import array_source

    linear = dataclasses.replace(model, apply=_overflowing)
    where, storage = place()
    summary = run(job(EXPLANATIONS[:1], model=linear), array_source(pixels, np.zeros(6, int)), where)
    assert summary.quarantined == {2: 3}
    assert np.isnan(jaxplain.open(storage.url).maps("gradient")[2]).all()


def _overflowing(params, batch):
    return smooth_network().apply(params, batch) + 10 * batch.sum(axis=(1, 2, 3))[:, None]


def test_networks_that_mix_examples_are_refused():
    mixing = dataclasses.replace(smooth_network(), apply=_centered)
    with pytest.raises(InputError, match="others in its batch"):
        run(job(model=mixing), source(), place()[0])


def _centered(params, batch):
    return smooth_network().apply(params, batch - batch.mean(axis=0, keepdims=True))


def test_an_unreadable_disk_fails_the_shard_and_the_next_run_mends_it(undisturbed):
    where, storage = place()
    flaky = source(bad=[5])

    class Flaky:
        def __getattr__(self, name):
            return getattr(flaky, name)

        def __len__(self):
            return len(flaky)

        def read(self, rows):
            if 20 in np.asarray(rows):
                raise OSError(errno.EIO, "Input/output error", "disk")
            return flaky.read(rows)

    summary = run(job(), Flaky(), where)
    assert list(summary.failed) == [2]
    assert not summary.complete
    assert run(job(), flaky, place(storage.url)[0]).complete
    assert content(storage) == content(undisturbed[1])


def test_a_full_disk_leaves_no_marker():
    where, storage = place()

    class Full:
        def __getattr__(self, name):
            return getattr(where.sink, name)

        def write(self, path, first_row, values):
            raise OSError(errno.ENOSPC, "No space left on device", path)

    with pytest.raises(OSError, match="No space left"):
        run(job(), source(), dataclasses.replace(where, sink=Full()))
    assert not storage.list("done/")


def test_planning_halves_the_batch_when_memory_runs_out(monkeypatch):
    tried = []
    from jaxplain.engine import open_run

    real = open_run._trial

    def trial(step, source, watch):
        tried.append(step.batch)
        if step.batch > 8:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return real(step, source, watch)

    monkeypatch.setattr(open_run, "_trial", trial)
    where, storage = place()
    run(job(EXPLANATIONS[:1], batch=None, chunk=None, rows_per_shard=None), source(), where)
    assert tried[-1] <= 8 < tried[0]
    assert jaxplain.open(storage.url).manifest["plan"]["batch"] == tried[-1]


def test_unknown_methods_are_refused_before_anything_is_written():
    where, storage = place()
    with pytest.raises(InputError, match="did you mean 'smoothgrad'"):
        run(job([Explanation("a", "smothgrad")]), source(), where)
    assert not storage.list("done/")


def test_without_stored_maps_the_shards_leave_partials():
    """Global maps from partials equal those from exact maps; float64 sums in another order differ by rounding."""
    maps, partials = {}, {}
    exact, storage = place()
    run(job(store="float32", n_labels=5), source(bad=[5]), exact)
    finalize(
        jaxplain.open(storage.url),
        collect(maps),
        methods=[explanation.name for explanation in EXPLANATIONS],
        n_labels=5,
    )
    where, other = place()
    without = job(store="none", n_labels=5)
    run(without, source(bad=[5]), dataclasses.replace(where, blobs=other))
    assert not [key for key in other.list("maps/") if not key.endswith("zarr.json")]
    finalize_partials(
        other.read,
        collect(partials),
        methods={e.name: other.node(f"maps/{e.name}")["attributes"] for e in EXPLANATIONS},
        n_shards=5,
        status=jaxplain.open(other.url).rows("status"),
        grouping=without.grouping(0),
        steps=without.steps,
    )
    assert list(partials) == list(maps)
    for name, arrays in maps.items():
        for field in ("count", "mean", "variance"):
            np.testing.assert_allclose(partials[name][field], arrays[field], rtol=1e-10, atol=1e-12)


def collect(into):
    return lambda name, groups, arrays, attributes, dimensions: into.update({name: arrays})
