"""Settings of the whole suite: CPU, strict promotion, strict ranks, cheap compilation; float64 on request."""

import os

# Set before JAX starts. Without XLA's optimizations the demo network's training tests take 5.5 s instead of 10.7 s,
# those of small functions 21 s instead of 26 s (CPU time, two cores), and all stay within their tolerances.
# Tests marked `optimized` run in a process of their own, for which the Makefile sets XLA_FLAGS.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from collections.abc import Iterator

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def bounded_caches() -> Iterator[None]:
    """Forget compiled programs after each module: each maps memory, and a process may map 65,530 pieces (Linux)."""
    yield
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
