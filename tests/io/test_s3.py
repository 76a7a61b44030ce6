"""Object stores: found and asked as the variables say, retried with a bound and a reason, exclusive with lost answers.

The server is moto's, in a process of its own on the loopback; a proxy in front of it injects faults.
"""

import errno
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.claims import claim
from jaxplain.io.failures import translate
from jaxplain.io.remote import Patience, remote_context, remote_spec
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage
from tests.io.faults import BUCKET

SHORT = Patience(retries=2, first_pause=0.02, longest_pause=0.05, deadline=20)
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def open_s3(patience=SHORT):
    return Storage.open(f"s3://{BUCKET}/{uuid.uuid4().hex}/a store", patience)


@pytest.fixture
def s3(s3_proxy):
    return open_s3()


def test_keys_arrays_and_exclusive_creation(s3):
    s3.write("a/b", b"1")
    assert s3.read_many(["a/b", "none"]) == [b"1", None] and s3.list() == ["a/b"]
    assert s3.create("marker", b"first") and not s3.create("marker", b"second")
    assert s3.read("marker") == b"first"
    s3.delete_all("a/")
    assert s3.list() == ["marker"]
    sink, values = StoreSink(s3), np.arange(24, dtype=np.float32).reshape(6, 4)
    sink.create([ArraySpec("v", (6, 4), "float32", ("image", "x"), 3)])
    sink.write("v", 0, values).result()
    np.testing.assert_array_equal(s3.open_array("v").read([5, 0, 2]), values[[5, 0, 2]])


def test_of_racing_creators_exactly_one_wins(s3):
    for turn in range(3):
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(lambda worker, turn=turn: s3.create(f"race/{turn}", b"%d" % worker), range(4)))
        assert sum(won) == 1 and s3.read(f"race/{turn}") == b"%d" % won.index(True)


@pytest.mark.parametrize("fault", ["500", "503", "429", "reset", "lost", "slow"])
def test_a_fault_that_passes_loses_and_doubles_nothing(s3, s3_proxy, fault):
    s3_proxy.plan = lambda method, path, number: fault if number % 3 == 1 else "ok"
    for number in range(3):
        s3.write(f"w/{number}", b"%d" % number)
        assert claim(s3, f"c/{number}", b"mine %d" % number)
        assert not claim(s3, f"c/{number}", b"another's")
    assert s3.read_many([f"w/{i}" for i in range(3)]) == [b"0", b"1", b"2"]
    assert s3.read_many([f"c/{i}" for i in range(3)]) == [b"mine 0", b"mine 1", b"mine 2"]
    assert s3_proxy.faults[fault] >= 5


def test_a_creation_whose_every_answer_is_lost_is_known_for_one_s_own(s3, s3_proxy):
    s3_proxy.plan = lambda method, path, number: "lost" if method == "PUT" else "ok"
    assert claim(s3, "lease", b"my nonce")
    assert s3_proxy.faults["lost"] > SHORT.retries
    assert not claim(s3, "lease", b"another nonce")
    assert s3.read("lease") == b"my nonce"


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("500", errno.EAGAIN, "answers 500 Internal Server Error, also after 2 more"),
        ("503", errno.EAGAIN, "answers 503 Service Unavailable"),
        ("reset", errno.EAGAIN, "after 2 more requests"),
        ("403", errno.EACCES, "answers 403 Forbidden; check AWS_ACCESS_KEY_ID"),
        ("404", errno.ENOENT, "is there such a bucket"),
    ],
)
def test_a_fault_that_lasts_ends_soon_with_its_reason(s3, s3_proxy, fault, code, words):
    s3_proxy.plan = lambda method, path, number: fault
    began = time.monotonic()
    with pytest.raises(OSError, match=words) as caught:
        s3.write("key", b"value")
    assert caught.value.errno == code and caught.value.filename == f"{s3.url}/key"
    assert len(s3_proxy.requests) <= 2 * (1 + SHORT.retries) and time.monotonic() - began < 10


def test_a_server_that_never_answers_is_given_up(s3_proxy):
    s3 = open_s3(Patience(retries=1, first_pause=0.01, longest_pause=0.01, deadline=0.1))
    s3_proxy.plan = lambda method, path, number: "slow"
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        s3.read("key")


def test_a_server_that_does_not_decide_exclusive_creation_is_refused(s3, s3_proxy):
    s3.check_writing()
    assert s3.list() == []
    s3_proxy.plan = lambda method, path, number: "deaf"
    with pytest.raises(InputError, match="If-None-Match"):
        s3.check_writing()
    assert s3.list() == []


def test_a_bucket_that_does_not_exist_is_named(s3_proxy):
    with pytest.raises(FileNotFoundError, match="is there such a bucket"):
        Storage.open("s3://nowhere-to-be-found/store", SHORT).write("key", b"value")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "key"}, "AWS_ACCESS_KEY_ID alone"),
        ({"AWS_SECRET_ACCESS_KEY": "secret"}, "AWS_SECRET_ACCESS_KEY alone"),
        ({"AWS_PROFILE": "lab"}, "AWS_PROFILE is 'lab'"),
    ],
)
def test_missing_credentials_are_named_before_anything_is_asked(tmp_path, environ, words):
    nowhere = {name: str(tmp_path / name) for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")}
    with pytest.raises(InputError, match=words):
        remote_context("s3", SHORT, {**nowhere, **environ})


def test_missing_credentials_of_google_are_named(tmp_path):
    nowhere = {"CLOUDSDK_CONFIG": str(tmp_path)}
    with pytest.raises(InputError, match="set GOOGLE_APPLICATION_CREDENTIALS"):
        remote_context("gs", SHORT, nowhere)
    with pytest.raises(InputError, match="is no file"):
        remote_context("gs", SHORT, {**nowhere, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")})
    (tmp_path / "application_default_credentials.json").write_text("{}")
    assert remote_context("gs", SHORT, nowhere) == {"gcs_request_retries": SHORT.resource()}


def test_credentials_come_from_where_they_are(tmp_path):
    file = tmp_path / "credentials"
    file.write_text("[lab]")
    found = {
        "environment": KEYS,
        "anonymous": {"AWS_NO_SIGN_REQUEST": "YES"},
        "default": {"AWS_PROFILE": "lab", "AWS_SHARED_CREDENTIALS_FILE": str(file)},
    }
    for kind, environ in found.items():
        assert remote_context("s3", SHORT, environ)["aws_credentials"]["type"] == kind
    assert remote_context("s3", SHORT, found["default"])["aws_credentials"]["profile"] == "lab"


def test_place_and_region_come_from_the_usual_variables():
    plain = {"driver": "s3", "bucket": "b", "path": "p/", "use_conditional_write": True}
    assert remote_spec("s3", "b", "p/", {}) == plain
    assert remote_spec("s3", "b", "p/", {"AWS_DEFAULT_REGION": "eu-west-1"}) == {**plain, "aws_region": "eu-west-1"}
    environ = {"AWS_ENDPOINT_URL": "http://one", "AWS_ENDPOINT_URL_S3": "http://two/", "AWS_REGION": "here"}
    assert remote_spec("s3", "b", "p/", environ) == {**plain, "endpoint": "http://two", "aws_region": "here"}
    assert remote_spec("gs", "b", "p/", environ) == {"driver": "gcs", "bucket": "b", "path": "p/"}
    with pytest.raises(InputError, match="names no bucket"):
        remote_spec("s3", "", "p/", {})


def test_reasons_are_read_from_what_the_network_says():
    refused = "ABORTED: All 3 retry attempts failed: CURL error Could not connect to server: Failed [curl_code='7']"
    error = translate(ValueError(refused), "s3://b/k")
    assert isinstance(error, OSError) and "Could not connect to server" in str(error) and error.errno == errno.EAGAIN
