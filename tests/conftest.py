"""Settings of the whole suite: CPU, strict promotion, strict ranks, cheap compilation; float64 on request."""

import os
from importlib.metadata import version

# Set before JAX starts. Without XLA's optimizations the demo network's training tests take 5.5 s instead of 10.7 s,
# those of small functions 21 s instead of 26 s (CPU time, two cores), and all stay within their tolerances.
# Programs this small are compiled in one piece a tenth faster than in several side by side, and with XLA's older way
# of writing loops in a third of the time, which JAX 0.11 has no longer.
# Tests marked `optimized` run in a process of their own, for which the Makefile sets XLA_FLAGS.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    + " --xla_cpu_use_fusion_emitters=false" * version("jaxlib").startswith("0.10."),
)
# Jobs keep no compiled programs in the home folder of whoever runs the tests.
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")

import gc
import itertools
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from tests.io.faults import s3_address, s3_proxy  # noqa: F401  (fixtures)

_FINISHED = itertools.count(1)
_MAPS = Path("/proc/self/maps")

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes many objects that live on; looking through them for cycles took one twentieth of the time.
gc.freeze()
gc.set_threshold(50_000, 20, 20)


def pytest_runtest_teardown() -> None:
    """Forget compiled programs before they exhaust the pieces of memory that Linux lets a process map (65,530)."""
    if next(_FINISHED) % 20 == 0 and _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    """Float64 for closed forms, for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def standard_promotion() -> Iterator[None]:
    """For tests that train: optax's moment corrections raise a Python float to an int32 count."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
