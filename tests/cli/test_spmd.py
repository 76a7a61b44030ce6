"""Processes that ``jax.distributed`` connects, on loopback: what they write is what one process writes."""

import os
import socket
import subprocess
import sys

import pytest

import jaxplain as library
from tests.cli.conftest import refused
from tests.cli.test_workers import ROOT, stored


def free_port():
    """A port that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(job, number, count, port, *words):
    """Start one process of an SPMD job."""
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "jaxplain.cli", "run", str(job), "--distributed", address]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "JAX_COORDINATOR_BIND_ADDRESS": address}
    environ = {name: value for name, value in environ.items() if "proxy" not in name.lower()}
    return subprocess.Popen(
        [*command, "--worker", f"{number + 1}/{count}", *words],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_write_what_one_process_writes(jaxplain, job, tmp_path, count):
    assert jaxplain("run", str(job), "--set", "output=alone").code == 0
    port = free_port()
    processes = [start(job, number, count, port) for number in range(count)]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    assert all("The maps and global maps are in" in words for words in said), said
    explained = [int(words.partition("Explained ")[2].partition(" of")[0] or 0) for words in said]
    assert sum(explained) == 20 and max(explained) < 20
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")
    assert library.open(tmp_path / "store").storage.list("lease/") == []


@pytest.mark.slow
def test_a_process_with_several_devices_computes_on_its_own(jaxplain, job, tmp_path, monkeypatch):
    """Two processes of two devices each; the store is planned for two devices."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    port = free_port()
    processes = [start(job, number, 2, port) for number in range(2)]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    store = library.open(tmp_path / "store")
    assert store.manifest["plan"]["devices"] == 2
    assert store.complete("gradient") and store.has_globals("gradient")


@pytest.mark.slow
def test_when_one_process_dies_all_end_and_the_same_commands_go_on(jaxplain, job, tmp_path):
    port = free_port()
    first = start(job, 0, 2, port)
    second = start(job, 1, 2, port, "--set", "model.factory=tests.cli.networks:broken")
    said = [process.communicate(timeout=400)[0] for process in (first, second)]
    assert first.returncode != 0 and second.returncode != 0, said
    port = free_port()
    processes = [start(job, number, 2, port) for number in range(2)]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert jaxplain("run", str(job), "--set", "output=alone").code == 0
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")


def test_an_address_that_is_none_is_refused(jaxplain, job):
    refused(jaxplain("run", "--distributed", str(job), str(job)), "is no host:port", "put the job file first")
