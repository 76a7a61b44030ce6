"""Keys, bytes, exclusive creation, and errors of the file system that name their place."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jaxplain._errors import InputError
from jaxplain.io.storage import Storage


def test_keys_are_written_read_listed_and_deleted(storage):
    assert storage.read("a/b.json") is None
    storage.write("a/b.json", b"1")
    storage.write("a/b.json", b"22")
    storage.write("ab", b"")
    assert storage.read("a/b.json") == b"22"
    assert storage.read_many(["ab", "nothing", "a/b.json"]) == [b"", None, b"22"]
    assert storage.list() == ["a/b.json", "ab"]
    assert storage.list("a/") == ["a/b.json"]
    storage.delete("a/b.json")
    storage.delete("a/b.json")
    assert storage.list() == ["ab"]
    storage.write("c/1", b"x")
    storage.write("c/2", b"x")
    storage.delete_all("c/")
    assert storage.list() == ["ab"]


def test_the_same_address_is_the_same_place(storage):
    storage.write("key", b"value")
    assert Storage.open(storage.url).read("key") == b"value"


def test_create_is_exclusive(storage):
    assert storage.create("marker", b"first")
    assert not storage.create("marker", b"second")
    assert storage.read("marker") == b"first"


def test_of_racing_creators_exactly_one_wins(storage):
    n = 4
    for turn in range(10):
        barrier = Barrier(n)

        def create(worker, barrier=barrier, turn=turn):
            barrier.wait()
            return storage.create(f"race/{turn}", str(worker).encode())

        with ThreadPoolExecutor(n) as pool:
            won = list(pool.map(create, range(n)))
        assert sum(won) == 1
        assert storage.read(f"race/{turn}") == str(won.index(True)).encode()


@pytest.mark.parametrize("leftover", ["0.json.__lock", "0.json_0123456789abcdef.__lock"])
def test_what_a_killed_writer_left_is_no_key_and_spoils_none(tmp_path, leftover):
    storage = Storage.open(tmp_path)
    file = tmp_path / "done" / leftover
    file.parent.mkdir()
    file.write_bytes(b"half of a long mark")
    assert storage.list() == []
    assert storage.read("done/0.json") is None
    assert storage.create("done/0.json", b"whole")
    assert storage.read("done/0.json") == b"whole"
    file.write_bytes(b"half of a long mark")
    storage.write("done/0.json", b"again")
    assert storage.read("done/0.json") == b"again"
    assert storage.list() == ["done/0.json"]
    assert storage.remove_leftovers() == 0
    os.utime(file, (0, 0))
    assert storage.remove_leftovers() == 1
    assert os.listdir(file.parent) == ["0.json"]


def test_create_is_exclusive_without_hard_links_too(tmp_path, monkeypatch):
    def link(source, target):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", link)
    storage = Storage.open(tmp_path)
    assert storage.create("marker", b"first")
    assert not storage.create("marker", b"second")
    assert storage.read("marker") == b"first"
    assert os.listdir(tmp_path) == ["marker"]


def test_a_link_whose_answer_was_lost_counts(tmp_path, monkeypatch):
    true_link = os.link

    def link(source, target):
        true_link(source, target)
        raise FileExistsError(17, "said to exist")

    monkeypatch.setattr(os, "link", link)
    assert Storage.open(tmp_path).create("marker", b"first")
    assert os.listdir(tmp_path) == ["marker"]


@pytest.mark.parametrize("name", ["bell\nline", "<b>[/x]", "ümlaut", os.fsdecode(b"raw\xff")])
def test_odd_keys_are_kept_as_they_are(storage, name):
    storage.write(f"a/{name}", b"x")
    assert storage.list("a/") == [f"a/{name}"]
    assert storage.read(f"a/{name}") == b"x"


def test_errors_of_the_file_system_are_os_errors_with_the_place(tmp_path):
    (tmp_path / "file").write_text("x")
    storage = Storage.open(tmp_path / "file")
    with pytest.raises(OSError, match="file/key"):
        storage.write("key", b"x")
    with pytest.raises(OSError, match="file"):
        storage.create("key", b"x")


def test_a_full_disk_is_an_os_error_and_leaves_no_key(tmp_path):
    # A limit on file sizes stands in for a full disk: the same failing write call, without root.
    script = textwrap.dedent(
        """
        import errno, resource, sys
        import numpy as np
        from jaxplain.io.arrays import ArraySpec
        from jaxplain.io.sink import StoreSink
        from jaxplain.io.storage import Storage
        storage = Storage.open(sys.argv[1])
        sink = StoreSink(storage)
        sink.create([ArraySpec("a", (4, 64, 64), "float32", ("image", "y", "x"), shard_rows=2)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        values = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
        for action in (lambda: storage.create("k", bytes(9000)), lambda: sink.write("a", 0, values).result()):
            try:
                action()
            except OSError as error:
                assert error.errno == errno.EFBIG and sys.argv[1] in str(error), error
            else:
                raise SystemExit("no error")
        assert storage.list() == ["a/zarr.json", "zarr.json"], storage.list()
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_addresses_that_cannot_be_opened_name_the_remedy():
    with pytest.raises(InputError, match="file://"):
        Storage.open("ftp://host/path")
    with pytest.raises(InputError, match="UTF-8"):
        Storage.open(os.fsdecode(b"/tmp/\xff"))


def test_opening_a_store_is_light():
    script = "import sys, jaxplain.io.store; sys.exit('jax' in sys.modules or 'flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(("url", "driver"), [("s3://bucket/a/b", "s3"), ("gs://bucket", "gcs")])
def test_cloud_addresses_are_taken_apart(url, driver, monkeypatch):
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", "http://127.0.0.1:1")
    spec = Storage.open(url)._spec
    assert spec["driver"] == driver and spec["bucket"] == "bucket"
    assert spec["path"] == ("a/b/" if driver == "s3" else "")
