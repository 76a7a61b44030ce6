"""The sweep against a naive loop in NumPy, its identity, its memory, and what happens when it is stopped."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.aggregate.auc import auc
from jaxplain.aggregate.peppr import Order, order_of, random_ranks
from jaxplain.core.baselines import Blur, Constant, Noise
from jaxplain.core.model import Model
from jaxplain.core.ranking import rank, reverse
from jaxplain.engine.assignment import Part
from jaxplain.engine.events import Advanced
from jaxplain.engine.masking import sweep_batch
from jaxplain.engine.orders import global_orders
from jaxplain.engine.scores import ScoresInMemory, StoredScores
from jaxplain.engine.selection import scramble, select_rows
from jaxplain.engine.stop import Stop
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.engine.worker import Worker
from jaxplain.io.leases import Leases
from jaxplain.io.ledger import Ledger
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources import array_source
from jaxplain.io.storage import Storage

N, SHAPE, LABELS = 29, (5, 6, 2), 3
numbers = itertools.count()


def network(params, x):
    """A small smooth network of three outputs."""
    hidden = jnp.tanh(x.reshape(x.shape[0], -1) @ params["a"])
    return hidden @ params["b"]


def setup(one_label=True, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(N, *SHAPE)).astype(np.float32)
    labels = rng.integers(0, LABELS, N) if one_label else (rng.random((N, LABELS)) < 0.4).astype(np.uint8)
    params = {"a": rng.normal(size=(60, 8)) / 4, "b": rng.normal(size=(8, LABELS))}
    model = Model(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params), network)
    orders = [order_of("m/overall/macro", rng.normal(size=SHAPE[:2]), group="overall/macro")]
    return model, images, labels, orders


SETTINGS = Settings(fractions=(0.0, 0.1, 0.4, 1.0), n_random=2, resamples=8, batch=8)


def scored(model, images):
    return np.asarray(model(jnp.asarray(images, jnp.float32)))


@pytest.mark.parametrize("one_label", [True, False])
def test_curves_equal_a_naive_loop(one_label):
    model, images, labels, orders = setup(one_label)
    made = sweep(model, array_source(images, labels), orders, SETTINGS)
    truth = np.eye(LABELS, dtype=bool)[labels] if one_label else labels == 1
    blank = images.astype(np.float64).mean(axis=0)
    for entry, order in zip(made["orders"], orders, strict=False):
        for mode in ("erase", "restore"):
            for step, k in enumerate(made["pixels"]):
                taken = (order.ranks < k)[..., None]
                shown = np.where(taken if mode == "restore" else ~taken, images, blank)
                scores = scored(model, shown)
                if (taken if mode == "restore" else ~taken).any():  # equal blanks are ties
                    want = [auc(scores[:, label], truth[:, label]) for label in range(LABELS)]
                else:
                    want = [0.5] * LABELS
                got = [curve["value"][step] for curve in entry["auc"][mode]["labels"]]
                np.testing.assert_allclose(got, want, atol=1e-6)
                np.testing.assert_allclose(entry["auc"][mode]["macro"]["value"][step], np.mean(want), atol=1e-6)
    areas = {mode: made["orders"][0]["auc"][mode]["macro"]["area"]["value"] for mode in ("erase", "restore")}
    assert made["orders"][0]["auc"]["gap"]["macro"]["value"] == pytest.approx(areas["restore"] - areas["erase"])
    assert made["endpoints"]["auc"]["blank"]["macro"]["value"] == 0.5
    names = [entry["name"] for entry in made["orders"]]
    assert names == ["m/overall/macro", "random/0", "random/1", "center", "energy"]
    gaps = [entry["auc"]["gap"]["macro"]["value"] for entry in made["orders"][1:3]]
    assert made["controls"]["random"]["auc"]["mean"] == pytest.approx(np.mean(gaps))
    assert made["controls"]["random"]["auc"]["sd"] == pytest.approx(np.std(gaps, ddof=1))


def test_restoring_equals_erasing_the_rest_in_the_reversed_order():
    model, images, _, orders = setup()
    ranks = orders[0].ranks
    k = jnp.asarray([1, 7, 12, 29], jnp.int32)
    blank = jnp.asarray(np.broadcast_to(images.mean(axis=0), images.shape))
    both = jnp.asarray(np.stack([ranks, reverse(ranks)]))
    forward = sweep_batch(model, jnp.asarray(images), blank, both, k)
    backward = sweep_batch(model, jnp.asarray(images), blank, both, 30 - k)
    np.testing.assert_allclose(forward[:, 0, 1], backward[:, 1, 0], atol=1e-6)
    np.testing.assert_allclose(forward[:, 0, 0], backward[:, 1, 1], atol=1e-6)


@pytest.mark.optimized
def test_memory_for_images_does_not_grow_with_the_steps():
    images = jnp.ones((16, 40, 40, 1), jnp.float32)
    model = Model(jnp.ones((1600, LABELS), jnp.float32), lambda w, x: x.reshape(x.shape[0], -1) @ w)
    peaks = []
    for n_steps in (2, 20):
        arguments = (model, images, images, jnp.zeros((1, 40, 40), jnp.int32), jnp.arange(n_steps, dtype=jnp.int32))
        memory = sweep_batch.lower(*arguments).compile().memory_analysis()
        peaks.append(memory.temp_size_in_bytes + memory.output_size_in_bytes)
    scores = len(images) * 2 * LABELS * 4 * (20 - 2)
    assert scores < images.nbytes / 10
    assert peaks[1] - peaks[0] <= 3 * scores  # the scores alone: in the loop, turned, and returned


def test_no_value_of_the_program_holds_images_of_several_steps():
    model, images, _, orders = setup()
    traced = jax.make_jaxpr(sweep_batch)(model, images, images, orders[0].ranks[None], np.arange(40, dtype=np.int32))

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (variable.aval.size for variable in equation.outvars)
            for value in equation.params.values():
                if hasattr(value, "jaxpr"):
                    yield from sizes(value.jaxpr)

    assert max(sizes(traced.jaxpr)) <= max(images.size, N * 2 * 40 * LABELS)


def test_a_ragged_last_batch_compiles_nothing_anew():
    model, images, labels, orders = setup()
    before = sweep_batch._cache_size()
    for n in (29, 24, 9):
        sweep(model, array_source(images[:n], labels[:n]), orders, SETTINGS)
    assert sweep_batch._cache_size() - before <= 1


@pytest.mark.parametrize("baseline", [Constant(0.5), Blur(1.0), Noise(0.2), "channel_mean", "mean_image"])
def test_scores_depend_neither_on_the_batch_nor_on_the_memory(baseline):
    model, images, labels, orders = setup()
    kept = []
    for batch in (1, 7, 64):
        scores = Recording()
        settings = Settings(fractions=(0.0, 0.3, 1.0), n_random=0, resamples=0, batch=batch, baseline=baseline)
        sweep(model, array_source(images, labels), orders, settings, scores=scores)
        kept.append(scores)
    for other in kept[1:]:
        np.testing.assert_allclose(other.swept, kept[0].swept, atol=2e-6)
        np.testing.assert_allclose(other.ends, kept[0].ends, atol=2e-6)
    if not isinstance(baseline, Noise | Blur):
        assert (kept[0].ends[:, 1] == kept[0].ends[0, 1]).all()


class Recording(ScoresInMemory):
    """Keeps what was put, image by image."""

    def publish(self, results, arrays):
        self.swept, self.ends = self._swept, self._ends

    def open(self, n, shape, shard_rows, identity, rows):
        super().open(n, shape, shard_rows, identity, rows)
        self._swept, self._ends, self.rows = np.full((n, *shape), np.nan, np.float32), np.empty((n, 2, shape[-1])), rows

    def put(self, shard, first, scores, ends):
        super().put(shard, first, scores, ends)
        self._swept[first : first + len(scores)], self._ends[first : first + len(ends)] = scores, ends


class Counting:
    """A source that counts what is read, and can fail."""

    def __init__(self, source, fail_after=None):
        self._source, self.read_rows, self._left = source, [], fail_after

    def __getattr__(self, name):
        return getattr(self._source, name)

    def __len__(self):
        return len(self._source)

    def read(self, rows):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise OSError("the disk is gone")
        self.read_rows.extend(np.asarray(rows).tolist())
        return self._source.read(rows)


def stored(storage):
    return StoredScores(storage, StoreSink(storage), Ledger(storage))


def test_a_stopped_sweep_goes_on_and_ends_the_same(monkeypatch):
    monkeypatch.setattr("jaxplain.engine.sweep.SHARD_BYTES", 1)  # a shard is one batch
    model, images, labels, orders = setup()
    want = sweep(model, array_source(images, labels), orders, SETTINGS)
    storage = Storage.open(f"memory://sweep{next(numbers)}/")
    with pytest.raises(OSError, match="disk is gone"):
        sweep(model, Counting(array_source(images, labels), 4), orders, SETTINGS, scores=stored(storage))
    before = set(Ledger(storage).finished("peppr"))
    assert 0 < len(before) < 4 and storage.read("peppr/results.json") is None
    source = Counting(array_source(images, labels))
    got = sweep(model, source, orders, SETTINGS, scores=stored(storage))
    done = {row for shard in before for row in range(8 * shard, 8 * shard + 8)}
    swept = source.read_rows[N + 8 :]  # after the mean image and the probe of the blank
    assert not done & set(swept) and set(swept) == set(range(N)) - done
    for key in ("orders", "endpoints", "controls"):
        assert got[key] == want[key]
    array = storage.open_array("peppr/scores")
    assert array.shape == (N, 5, 2, 2, LABELS) and array.dimensions[-1] == "label"
    assert np.isfinite(array.read(slice(None))).all()
    assert storage.open_array("peppr/auc").read(slice(None)).shape == (5, 2, 4, LABELS + 1)


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")  # results.json lies beside the arrays
def test_other_libraries_read_the_scores(tmp_path):
    xarray = pytest.importorskip("xarray")
    model, images, labels, orders = setup()
    orders = [*orders, order_of("m/label/9", np.full(SHAPE[:2], np.nan), group="label/9")]
    sweep(model, array_source(images, labels), orders, SETTINGS, scores=stored(Storage.open(tmp_path)))
    found = xarray.open_zarr(tmp_path / "peppr", consolidated=False)
    assert dict(found.sizes) == {
        "image": N, "order": 5, "mode": 2, "step": 2, "label": LABELS, "end": 2, "entry": 6, "fraction": 4,
        "label_or_macro": LABELS + 1,
    }  # fmt: skip
    assert np.isfinite(found.scores.values).all() and np.isnan(found.auc.values[1]).all()


def test_more_resamples_sweep_nothing_and_other_steps_replace_all(monkeypatch):
    monkeypatch.setattr("jaxplain.engine.sweep.SHARD_BYTES", 1)
    model, images, labels, orders = setup()
    storage = Storage.open(f"memory://sweep{next(numbers)}/")
    sweep(model, array_source(images, labels), orders, SETTINGS, scores=stored(storage))
    more = Counting(array_source(images, labels))
    got = sweep(model, more, orders, Settings(**{**vars(SETTINGS), "resamples": 20}), scores=stored(storage))
    assert got["resamples"] == 20 and len(more.read_rows) == N + 8
    other = Settings(**{**vars(SETTINGS), "fractions": (0.0, 0.5, 1.0)})
    sweep(model, array_source(images, labels), orders, other, scores=stored(storage))
    assert storage.open_array("peppr/scores").shape[3] == 1


def test_workers_share_the_shards_and_the_last_measures(monkeypatch):
    monkeypatch.setattr("jaxplain.engine.sweep.SHARD_BYTES", 1)
    model, images, labels, orders = setup()
    storage = Storage.open(f"memory://sweep{next(numbers)}/")
    source = array_source(images, labels)
    first, second = (Part(Worker(number, 2), leases=Leases(storage)) for number in range(2))
    assert sweep(model, source, orders, SETTINGS, scores=stored(storage), part=first) is None
    assert 0 < len(Ledger(storage).finished("peppr")) < 4
    got = sweep(model, source, orders, SETTINGS, scores=stored(storage), part=second)
    assert storage.list("lease/") == []
    assert got["orders"] == sweep(model, source, orders, SETTINGS)["orders"]


def test_a_sweep_that_shall_end_begins_no_other_shard_and_goes_on_later(monkeypatch):
    monkeypatch.setattr("jaxplain.engine.sweep.SHARD_BYTES", 1)
    model, images, labels, orders = setup()
    storage, stop = Storage.open(f"memory://sweep{next(numbers)}/"), Stop(grace=100)

    def ask(event):
        if isinstance(event, Advanced) and event.stage == "sweep":
            stop.ask()

    source = array_source(images, labels)
    part = Part(stop=stop, leases=Leases(storage))
    assert sweep(model, source, orders, SETTINGS, scores=stored(storage), part=part, watch=ask) is None
    assert 0 < len(Ledger(storage).finished("peppr")) < 4
    assert storage.list("lease/") == []
    got = sweep(model, source, orders, SETTINGS, scores=stored(storage))
    assert got["orders"] == sweep(model, source, orders, SETTINGS)["orders"]


def test_quarantined_and_unlabeled_images_stay_out():
    model, images, labels, orders = setup()
    labels[3], images[5] = -1, np.nan
    status = np.zeros(N, np.uint8)
    status[7] = 3
    scores = Recording()
    made = sweep(model, array_source(images, labels), orders, SETTINGS, status=status, scores=scores)
    assert made["images"] == N - 3 and not {3, 5, 7} & set(scores.rows.tolist())


def test_labels_without_images_and_maps_without_images_are_null_with_reasons():
    model, images, labels, orders = setup()
    labels[labels == 2] = 0
    orders = [*orders, order_of("m/label/2", np.full(SHAPE[:2], np.nan), group="label/2")]
    made = sweep(model, array_source(images, labels), orders, SETTINGS, labels=("a", "b", "c"))
    assert made["reasons"] == {"c": f"no positive among {N} images"}
    assert made["orders"][0]["auc"]["restore"]["labels"][2]["value"] == [None] * 4
    assert made["orders"][0]["auc"]["restore"]["macro"]["value"][-1] is not None
    assert "auc" not in made["orders"][1] and "label/2" in made["orders"][1]["reason"]


def test_selections_grow_and_do_not_depend_on_the_order_of_rows():
    ids, usable = np.random.default_rng(0).integers(2**64, size=200, dtype=np.uint64), np.ones(200, bool)
    usable[:50] = False
    few, many = (select_rows(ids, usable, n, seed=0) for n in (20, 60))
    assert set(few) < set(many) and few.min() >= 50 and (np.diff(few) > 0).all()
    mixed = np.random.default_rng(1).permutation(200)
    assert set(mixed[select_rows(ids[mixed], usable[mixed], 20, seed=0)]) == set(few)
    assert len(select_rows(ids, usable, 1000, seed=0)) == 150
    assert len(np.unique(scramble(np.arange(1000, dtype=np.uint64), 0))) == 1000
    assert set(select_rows(ids, usable, 20, seed=1)) != set(few)


def test_orders_come_from_global_maps_by_pattern():
    rng = np.random.default_rng(0)
    found = {"groups": ["label/0", "label/1", "overall/macro"], "mean": rng.normal(size=(3, 2, 3))}
    orders = global_orders("m", found, ("overall/macro", "label/*"), shape=(4, 6))
    assert [order.name for order in orders] == ["m/overall/macro", "m/label/0", "m/label/1"]
    assert all(sorted(order.ranks.ravel()) == list(range(24)) for order in orders)
    np.testing.assert_array_equal(global_orders("m", found, shape=(2, 3))[0].ranks, rank(found["mean"][2]))
    with pytest.raises(InputError, match="overall/macro"):
        global_orders("m", found, ("overall/makro",), shape=(2, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": [Order("x", random_ranks((4, 4), seed=0, number=0))]}, "rank_coarse"),
        ({"orders": [Order("x", None, reason="r"), Order("x", None, reason="r")]}, "name of its own"),
        ({"settings": Settings(baseline="mean_imge", n_random=1)}, "mean_image"),
        ({"settings": Settings(fractions=(0.0, 0.001, 1.0))}, "no mask"),
        ({"settings": Settings(fractions=(0.0, 0.5))}, "rise from 0 to 1"),
        ({"settings": Settings(n_images=0)}, "at least 1"),
        ({"labels": ("a", "b")}, "2 label names for 3 outputs"),
        ({"status": np.ones(N, np.uint8)}, "no image is usable"),
        ({"source_labels": None}, "no labels"),
        ({"source_labels": np.full(N, 7)}, "lies outside"),
        ({"model": Model(jnp.ones(()), lambda p, x: {"logits": x})}, "wrap it to return the logits"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    model, images, labels, orders = setup()
    source = array_source(images, change.get("source_labels", labels))
    arguments = {key: change[key] for key in ("labels", "status") if key in change}
    with pytest.raises(InputError, match=message):
        sweep(
            change.get("model", model),
            source,
            change.get("orders", orders),
            change.get("settings", SETTINGS),
            **arguments,
        )
