"""Networks that mix the examples of a batch are refused."""

import jax
import jax.numpy as jnp
import pytest

from jaxplain import InputError, from_function
from jaxplain.adapters.independence import check_independent

BATCH = jax.random.normal(jax.random.key(0), (4, 3))


def alone(params, batch, shift=0.0):
    return {"out": jnp.tanh(batch @ params) + shift}


def normalized(params, batch):
    return (batch - batch.mean(0, keepdims=True)) @ params


def pooled(params, batch):
    return (batch @ params).mean(0)


def test_independent_examples_pass():
    model = from_function(alone, jnp.eye(3))
    check_independent(model, BATCH)
    check_independent(model, BATCH, BATCH)


def test_batch_statistics_are_refused():
    with pytest.raises(InputError, match="running statistics"):
        check_independent(from_function(normalized, jnp.eye(3)), BATCH)


def test_an_output_without_batch_axis_is_refused():
    with pytest.raises(InputError, match="first axis"):
        check_independent(from_function(pooled, jnp.eye(3)), BATCH)
