"""A sample computed again is what was stored: any target, rounds, coarse maps, quarantined images."""

import dataclasses

import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits
from jaxplain.engine.job import Explanation
from jaxplain.engine.rounds import Stopping
from jaxplain.engine.run import run
from jaxplain.engine.verify import SCORE, choose_rows, compare, recompute
from jaxplain.io.encoding import ERROR_BOUND
from tests.engine.places import EXPLANATIONS, job, place, source

ROUNDS = Explanation(
    "rounds", "smoothgrad", {"n_samples": 3}, {"n_samples": 3, "tolerance": 0.3}, Stopping(0.3, 24)
)  # fmt: skip
UPSAMPLED = Explanation("cam", "grad_cam", {"layer": "features"}, {"layer": "features"})


def verified(work, storage, n=9, **more):
    """What a sample of a store comes to."""
    store = jaxplain.open(storage.url)
    chosen, rows = choose_rows(work, store, n, seed=1)
    scratch, again = place()
    recompute(chosen, source(**more), store, rows, scratch)
    return compare(chosen, store, jaxplain.open(again.url), rows)


@pytest.mark.filterwarnings("ignore:run.*stay above the tolerance")
def test_all_that_a_run_stores_is_what_is_computed_again():
    work = job((EXPLANATIONS[0], UPSAMPLED, ROUNDS))
    where, storage = place()
    run(work, source(bad=[5]), where)
    sampled = verified(work, storage, 37, bad=[5])
    assert list(sampled.rows) == [row for row in range(37) if row != 5]
    assert sampled.same_device
    assert [one.name for one in sampled.agreements] == ["gradient", "cam", "rounds", SCORE]
    assert all(one.agrees for one in sampled.agreements)
    gradient = sampled.agreements[0]
    assert 0 < gradient.difference <= 1.01 * ERROR_BOUND == 1.01 * gradient.rounding
    assert jaxplain.open(storage.url).maps("cam").coarse.shape != jaxplain.open(storage.url).maps("cam").shape


@pytest.mark.parametrize("target", [Logit(np.arange(37, dtype=np.int32) % 5), Logits(np.array([0, 2], np.int32))])
def test_the_sample_keeps_targets_and_noise_of_its_images(target):
    work = job(EXPLANATIONS[1:2], target=target, store="float32")
    where, storage = place()
    run(work, source(), where)
    sampled = verified(work, storage)
    assert all(one.difference < 1e-5 and one.rounding == 0 for one in sampled.agreements)
    assert not verified(dataclasses.replace(work, seed=1), storage).agreements[0].agrees


def test_a_store_without_maps_is_compared_by_its_scores():
    work = job(EXPLANATIONS[:1], store="none", n_labels=5)
    where, storage = place()
    run(work, source(), dataclasses.replace(where, blobs=storage))
    assert [one.name for one in verified(work, storage).agreements] == [SCORE]


def test_only_finished_rows_are_drawn_and_a_store_without_any_is_refused():
    work = job(EXPLANATIONS[:2])
    where, storage = place()
    run(work, source(bad=[20]), where)
    for shard in (0, 1, 3, 4):
        where.ledger.unmark("sg", shard)
    store = jaxplain.open(storage.url)
    assert list(choose_rows(work, store, 50, seed=0)[1]) == [row for row in range(16, 24) if row != 20]
    assert len(choose_rows(work, store, 3, seed=0)[1]) == 3
    where.ledger.unmark("rows", 2)
    with pytest.raises(InputError, match="no image is finished"):
        choose_rows(work, store, 3, seed=0)
    with pytest.raises(InputError, match="rows = 0"):
        choose_rows(work, store, 0, seed=0)
