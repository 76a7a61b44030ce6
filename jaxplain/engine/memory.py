"""How much memory one example needs, read off its traced gradient: an estimate that does not depend on the machine."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import Array
from jaxplain.core.gradient import input_gradient
from jaxplain.core.score import Score

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(text: str | int) -> int:
    """Read a number of bytes such as "512MiB" or "2 GB".

    Raises:
        InputError: The text is no size.

    Example:
        >>> parse_bytes("2 KiB")
        2048
    """
    if isinstance(text, int):
        return text
    digits = text.strip().rstrip("BbKkMmGgIi ").strip()
    unit = text.strip()[len(digits) :].strip().upper()
    try:
        return int(float(digits) * UNITS[unit])
    except (ValueError, KeyError) as error:
        raise InputError(f"plan: memory {text!r} is no size; write it like '512MiB' or '2GB'.") from error


def bytes_per_sample(score: Score, x: Any) -> int:
    """Return an upper estimate of the bytes that one gradient of one example holds at once.

    It is the size of every value in the traced forward and backward pass, or in the forward pass of a network that has
    no derivative. XLA reuses buffers and fuses, so the true peak is lower; no program is compiled, and JAX remembers
    the trace of a network and shape.

    Args:
        score: Score of one example, its leaves without images.
        x: Shape and dtype of one example.
    """
    try:
        traced = _gradient.trace(score, x)
    except (NotImplementedError, TypeError, ValueError):  # callbacks and other opaque calls, each with its own error
        traced = _forward.trace(score, x)
    return sum(_sizes(traced.jaxpr.jaxpr))


@jax.jit
def _gradient(score: Score, x: Array) -> Array:
    return input_gradient(score)(x)


@jax.jit
def _forward(score: Score, x: Array) -> Array:
    return score(x)


def _sizes(jaxpr: Any) -> Iterator[int]:
    for equation in jaxpr.eqns:
        inner = [part for value in equation.params.values() for part in _jaxprs(value)]
        if inner:
            for part in inner:
                yield from _sizes(part)
            continue
        for variable in equation.outvars:
            aval = variable.aval
            if hasattr(aval, "shape"):
                itemsize = getattr(aval.dtype, "itemsize", np.dtype(np.uint64).itemsize)
                yield math.prod(aval.shape) * itemsize


def _jaxprs(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for part in value:
            yield from _jaxprs(part)
    elif hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr") and hasattr(value.jaxpr, "eqns"):
        yield value.jaxpr
