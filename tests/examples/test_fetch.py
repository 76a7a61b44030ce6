"""The order in which the demo looks for its data, each origin faked on this machine."""

import gzip
import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from examples.fashion_mnist import fetch as fetching
from examples.fashion_mnist import publisher
from examples.fashion_mnist.files import faults

CONTENT = {"images": bytes(range(256)) * 2000, "labels": b"0123456789" * 30}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
NAMES = {"images": "images-ubyte", "labels": "labels-ubyte"}
FILES = {NAMES[name]: gzip.compress(content, mtime=0) for name, content in CONTENT.items()}
WANT = {NAMES[name]: digest for name, digest in SUMS.items()}
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, packed in FILES.items():
        (folder / f"{name}.gz").write_bytes(packed)
    return folder


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Call fetch with everything of this machine replaced; without package tools until a test adds them."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(publisher, "PAUSE_SECONDS", 0.0)
    words = io.StringIO()

    def call(given=None, **options):
        settings = {
            "cache": tmp_path / "cache",
            "installed": tmp_path / "installed",
            "address": NOWHERE,
            "root": False,
            "sums": WANT,
            "console": Console(file=words, width=200),
        }
        return fetching.fetch(given, **(settings | options))

    call.words = words
    return call


def tool(tmp_path, name, script):
    """Put a program of the name in front of everything else."""
    path = tmp_path / "bin" / name
    path.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "{name} $*" >> "{tmp_path}/calls"\n{script}\n')
    path.chmod(0o755)


def calls(tmp_path):
    record = tmp_path / "calls"
    return record.read_text().splitlines() if record.exists() else []


def test_a_given_path_comes_first(find, tmp_path):
    fill(tmp_path / "cache")
    given = fill(tmp_path / "given")
    assert find(given) == fetching.Found(given, "the given path")


def test_a_given_path_may_hold_uncompressed_files(find, tmp_path):
    given = tmp_path / "plain"
    given.mkdir()
    for name, packed in FILES.items():
        (given / name).write_bytes(gzip.decompress(packed))
    assert find(given).folder == given


def test_a_wrong_given_path_is_an_error_that_names_the_files(find, tmp_path):
    fill(tmp_path / "cache")
    given = fill(tmp_path / "given")
    (given / "labels-ubyte.gz").unlink()
    (given / "images-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(fetching.GivenPathError, match=r"images-ubyte.gz does not have.*labels-ubyte\[.gz\] is missing"):
        find(given)


def test_the_cache_comes_before_debian_and_the_publisher(find, tmp_path):
    tool(tmp_path, "apt-get", "exit 0")
    tool(tmp_path, "dpkg-deb", "exit 0")
    fill(tmp_path / "cache")
    assert find().origin == "the local cache"
    assert calls(tmp_path) == []


def test_root_installs_and_refreshes_missing_lists(find, tmp_path):
    store = fill(tmp_path / "mirror")
    tool(
        tmp_path,
        "apt-get",
        f'case "$*" in\n*update*) touch "{tmp_path}/lists";;\n'
        f'*install*) test -e "{tmp_path}/lists" || exit 100; cp -r "{store}" "{tmp_path}/installed";;\nesac',
    )
    tool(tmp_path, "dpkg-deb", "exit 1")
    found = find(root=True)
    assert found == fetching.Found(tmp_path / "installed", "Debian's package")
    assert [line.split()[7] for line in calls(tmp_path)] == ["install", "update", "install"]
    assert find(root=True).origin == "Debian's package, from before"
    assert len(calls(tmp_path)) == 3


def test_others_unpack_the_package_into_the_cache(find, tmp_path):
    content = tmp_path / "content"
    fill(content / "usr/share/datasets/fashion-mnist")
    tool(tmp_path, "apt-get", "touch dataset-fashion-mnist_1_all.deb")
    tool(tmp_path, "dpkg-deb", f'cp -r "{content}" "$3"')
    assert find() == fetching.Found(tmp_path / "cache", "Debian's package")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(f"{name}.gz" for name in FILES)


class Handler(BaseHTTPRequestHandler):
    """A publisher that breaks off as often as it is told to, and continues where it is asked to."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        body = server.files.get(self.path.strip("/").removesuffix(".gz"))
        if body is None:
            self.send_error(404)
            return
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in self.headers else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if server.breaks > 0:
            server.breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.ranges, server.breaks = dict(FILES), [], 0
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_publisher_comes_last_and_is_resumed(find, tmp_path, server):
    tool(tmp_path, "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    tool(tmp_path, "dpkg-deb", "exit 1")
    server.breaks = 1
    assert find(address=server.address) == fetching.Found(tmp_path / "cache", "the publisher")
    half = len(FILES["images-ubyte"]) // 2
    assert server.ranges == [None, f"bytes={half}-", None]
    assert "Unable to locate package" in find.words.getvalue()
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_later_run_continues_the_earlier_one(find, tmp_path, server):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "images-ubyte.gz.part").write_bytes(FILES["images-ubyte"][:100])
    assert find(address=server.address).origin == "the publisher"
    assert server.ranges[0] == "bytes=100-"


@pytest.mark.parametrize("left", ["whole", "too much", "other bytes"])
def test_whatever_an_earlier_run_left_the_end_is_whole(find, tmp_path, server, left):
    packed = FILES["images-ubyte"]
    content = {"whole": packed, "too much": packed + b"xx", "other bytes": b"x" * 50}[left]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "images-ubyte.gz.part").write_bytes(content)
    assert find(address=server.address).origin == "the publisher"
    assert faults(tmp_path / "cache", WANT) == []


def test_a_wrong_sum_is_not_used(find, tmp_path, server):
    server.files["images-ubyte"] = gzip.compress(b"another data set")
    assert find(address=server.address) is None
    assert "SHA-256" in find.words.getvalue()
    assert list((tmp_path / "cache").iterdir()) == []


def test_where_nothing_can_be_reached_it_says_so(find):
    assert find() is None
    assert "The publisher's files cannot be had" in find.words.getvalue()


def test_names_on_the_screen_are_plain_text(find, tmp_path):
    tool(tmp_path, "apt-get", "echo 'E: [bold]odd[/x] words' >&2; exit 100")
    tool(tmp_path, "dpkg-deb", "exit 1")
    assert find() is None
    assert "[bold]odd[/x] words" in find.words.getvalue()
