"""A run on S3 gives the bytes that it gives in a folder, whatever the network does meanwhile."""

import random
import uuid

import pytest

import jaxplain
from jaxplain.engine.job import Explanation, Place
from jaxplain.engine.run import run
from jaxplain.io.ledger import Ledger
from jaxplain.io.remote import Patience
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage
from jaxplain.testing.networks import LAYER
from tests.engine.places import Manifest, content, job, place, source
from tests.io.faults import BUCKET

METHODS = (
    Explanation("sg", "smoothgrad", {"n_samples": 2}, {"n_samples": 2}),
    Explanation("cam", "grad_cam", {"layer": LAYER}, {"layer": LAYER}),
)
BAD = [5]
SHORT = Patience(retries=6, first_pause=0.02, longest_pause=0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    where, storage = place(tmp_path_factory.mktemp("run") / "store")
    assert run(job(METHODS), source(bad=BAD), where).complete
    return content(storage)


def s3_place(url=None):
    storage = Storage.open(url or f"s3://{BUCKET}/{uuid.uuid4().hex}", SHORT)
    return Place(StoreSink(storage), Ledger(storage), Manifest(storage)), storage


def run_on_s3():
    where, storage = s3_place()
    return run(job(METHODS), source(bad=BAD), where), storage


def test_a_run_on_s3_has_the_bytes_of_a_run_in_a_folder(s3_proxy, undisturbed):
    summary, storage = run_on_s3()
    assert summary.complete and content(storage) == undisturbed
    store = jaxplain.open(storage.url)
    assert store.complete("cam") and store.maps("cam")[:5].shape == (5, 12, 10)
    where, _ = s3_place(storage.url)
    assert run(job(METHODS), source(bad=BAD), where).images == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "503", "reset", "lost", "slow", "all"])
def test_faults_of_the_network_lose_and_double_nothing(s3_proxy, undisturbed, fault):
    chance, kinds = random.Random(0), ["500", "503", "reset", "lost", "slow"]
    rate = 0.02 if fault == "slow" else 0.15

    def plan(method, path, number):
        if chance.random() >= rate:
            return "ok"
        return chance.choice(kinds) if fault == "all" else fault

    s3_proxy.plan = plan
    summary, storage = run_on_s3()
    s3_proxy.plan = lambda method, path, number: "ok"
    assert summary.complete and content(storage) == undisturbed
    assert sum(s3_proxy.faults.values()) >= 3
    for name in ("rows", "sg", "cam"):
        assert jaxplain.open(storage.url).finished(name) == (0, 1, 2, 3, 4)


@pytest.mark.slow
def test_a_run_that_an_outage_ends_goes_on_where_it_was(s3_proxy, undisturbed):
    url = f"s3://{BUCKET}/{uuid.uuid4().hex}"

    def plan(method, path, number):
        return "500" if method == "PUT" and "/done/sg/000002" in path else "ok"

    s3_proxy.plan = plan
    where, storage = s3_place(url)
    with pytest.raises(OSError, match="the server answers 500"):
        run(job(METHODS), source(bad=BAD), where)
    s3_proxy.plan = lambda method, path, number: "ok"
    before = len(jaxplain.open(url).finished("sg"))
    where, storage = s3_place(url)
    assert run(job(METHODS), source(bad=BAD), where).complete
    assert before < 5 and content(storage) == undisturbed
