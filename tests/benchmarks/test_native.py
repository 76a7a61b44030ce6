"""The benchmark of jaxplain-native: its operations run, and without it nothing of it is in a program."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.native import compare_operation, operations, without_native


def test_operations_are_timed_with_and_without():
    pytest.importorskip("jaxplain_native")
    found = operations(1)
    assert len(found) >= 13
    shape, op = found["3x3 / 1, 512 to 512 at 7"]
    row = compare_operation(shape, op, 2)
    assert set(row) == {"forward", "backward"} and all(len(one["ratio"]["values"]) == 2 for one in row.values())


def test_without_it_programs_hold_no_native_call():
    shape, op = operations(1)["max-pool 3x3 / 2, 64 at 112"]
    with without_native():
        assert "jaxplain_native" not in jax.jit(op).lower(jnp.zeros(shape)).as_text()
