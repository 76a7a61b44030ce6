"""Fixtures: a server of S3 that all tests of a process share, and a proxy in front of it for each."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.objectstore import BUCKET, Proxy, s3_server

__all__ = ["BUCKET", "Proxy", "s3_address", "s3_proxy", "s3_server"]


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of a server that all tests of a process share, with an empty bucket; skipped without moto."""
    pytest.importorskip("moto", reason="the extra s3 is not installed")
    with s3_server() as address:
        yield address


@pytest.fixture
def s3_proxy(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the server, to which the variables of the environment point."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    proxy = Proxy(s3_address)
    for name, value in proxy.environment().items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.stop()
