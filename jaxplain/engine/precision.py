"""Precision of a run: exact, fast or bf16."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from jaxplain._errors import unknown
from jaxplain._typing import Array, PyTree
from jaxplain.core.model import Model, remembered
from jaxplain.engine.devices import ONE_DEVICE, Devices

Precision = Literal["exact", "fast", "bf16"]


def at_precision(
    model: Model, precision: Precision, devices: Devices = ONE_DEVICE
) -> tuple[Model, contextlib.AbstractContextManager[Any]]:
    """Return the model, and the context to trace it in, at a precision.

    "exact" multiplies matrices at the highest precision, "fast" at the device's default (TF32 on recent GPUs), "bf16"
    casts parameters and inputs to bfloat16 and the outputs back to float32; maps are accumulated in float32 throughout.
    The parameters are put on the devices, so that no batch has to carry them there, and the network's trace is shared
    by all programs of the engine.

    Raises:
        InputError: Another word.
    """
    context = tracing_at(precision)
    if precision == "bf16":
        model = Model(_cast(model.params, jnp.bfloat16), InBfloat16(model.apply))
    return remembered(Model(devices.whole(model.params), model.apply)), context


def tracing_at(precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Return the context to trace a model in, at a precision.

    Raises:
        InputError: Another word.
    """
    if precision not in get_args(Precision):
        raise unknown("plan", "precision", str(precision), get_args(Precision))
    return jax.default_matmul_precision("highest") if precision == "exact" else contextlib.nullcontext()


@dataclass(frozen=True)
class InBfloat16:
    """An ``apply`` that computes in bfloat16 and returns float32."""

    apply: Callable[..., Any]

    def __call__(self, params: PyTree, batch: Array, *extras: Array) -> PyTree:
        return _cast(self.apply(params, *_cast((batch, *extras), jnp.bfloat16)), jnp.float32)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)
