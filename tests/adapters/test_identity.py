"""What compares by value, and what is reported because it cannot."""

from functools import partial
from types import MappingProxyType

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.adapters.identity import key_of


def scaled(factor):
    def apply(x):
        return x * factor

    return apply


class Opaque:
    def __call__(self, x):
        return x


EQUAL = {
    "partial": lambda: partial(jnp.clip, min=0.0),
    "nested partial": lambda: partial(partial(jnp.clip, min=0.0), max=1.0),
    "dict": lambda: {"a": [1, (2.0, None)], "b": {3, 4}},
    "mapping": lambda: MappingProxyType({"a": 1}),
    "array": lambda: np.arange(3),
    "factory": lambda: scaled(2.0),
    "initializer": lambda: nn.initializers.normal(0.02),
    "module": lambda: nn.Dense(3, kernel_init=nn.initializers.kaiming_normal()),
    "sequential": lambda: nn.Sequential([nn.Dense(3), nn.relu, partial(nn.leaky_relu, negative_slope=0.2)]),
    "dtype": lambda: (jnp.bfloat16, np.dtype("float32"), "SAME", jax.lax.Precision.HIGHEST),
    "nan": lambda: float("nan"),
    "custom rule": lambda: jax.nn.relu,
}
DIFFERENT = {
    "factory": (scaled(2.0), scaled(3.0)),
    "type": (1, 1.0),
    "bool": (1, True),
    "list and tuple": ([1], (1,)),
    "array": (np.arange(3), np.arange(3.0)),
    "keywords": (partial(jnp.clip, min=0.0), partial(jnp.clip, max=0.0)),
    "module": (nn.Dense(3), nn.Dense(3, use_bias=False)),
}


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_by_value(make):
    first, second = key_of("test", {"value": make()}), key_of("test", {"value": make()})
    assert first == second and hash(first) == hash(second)


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_different(pair):
    first, second = (key_of("test", {"value": value}) for value in pair)
    assert first != second


def test_what_compares_by_identity_is_named_in_one_warning():
    value = {"act": lambda x: x, "deep": [partial(Opaque())], "mixed": scaled(Opaque())}
    with pytest.warns(UserWarning, match=r"net\.act .*net\.deep\[0\].*net\.mixed") as caught:
        first = key_of("test", {"net": value})
    assert len(caught) == 1
    with pytest.warns(UserWarning):
        assert key_of("test", {"net": value}) == first


def test_refused_values():
    with pytest.raises(InputError, match="not hashable"):
        key_of("test", {"value": bytearray(1)})
    with pytest.raises(InputError, match="traced"):
        jax.jit(lambda x: key_of("test", {"value": x}) and x)(jnp.ones(2))
