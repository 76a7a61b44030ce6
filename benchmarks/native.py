"""What jaxplain-native adds on CPUs: the same programs with it and without it, by the same dispatcher.

    python -m benchmarks.native [--batch 8] [--pairs 40] [--networks resnet18 resnet50 convnext_tiny] [--operations]

Operations: the convolutions of ResNet-18 by shape, a depthwise one, three of ResNet-50 with the normalization, addition
and ReLU that follow, the pooling of the stem; forward and input gradient. Networks: the gradient of the first logit at
224 x 224 under ``with_fast_gradients``, float32.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import jax

from benchmarks.gradients import beside, gradient
from benchmarks.kernels import normal
from benchmarks.record import facts, keep
from benchmarks.timing import PAIRS, cell, interleaved
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.models import random_network
from jaxplain_kernels import optional
from jaxplain_kernels.convolution import convolve
from jaxplain_kernels.convolution.cases import plain_and_spec
from jaxplain_kernels.pool import max_pool

SIZE = 224
RESNET18 = (  # size, channels in and out, kernel, stride, padding
    (224, 3, 64, 7, 2, 3),
    (56, 64, 64, 3, 1, 1),
    (56, 64, 128, 3, 2, 1),
    (56, 64, 128, 1, 2, 0),
    (28, 128, 128, 3, 1, 1),
    (28, 128, 256, 3, 2, 1),
    (28, 128, 256, 1, 2, 0),
    (14, 256, 256, 3, 1, 1),
    (14, 256, 512, 3, 2, 1),
    (14, 256, 512, 1, 2, 0),
    (7, 512, 512, 3, 1, 1),
)
BLOCKS = (  # of ResNet-50: size, channels in and out, kernel, whether an array is added
    (56, 64, 64, 3, False),
    (28, 128, 512, 1, True),
    (14, 256, 1024, 1, True),
)
Op = Callable[[jax.Array], jax.Array]


@contextmanager
def without_native() -> Iterator[None]:
    """Let the dispatcher believe that jaxplain-native is not installed."""
    with mock.patch.object(optional, "native", lambda: (None, "left out here")):
        yield


def operations(batch: int) -> dict[str, tuple[tuple[int, ...], Op]]:
    """Return operations on one array, and its shape, by name."""
    found: dict[str, tuple[tuple[int, ...], Op]] = {}
    rows = [(*row, 1) for row in RESNET18] + [(56, 96, 96, 7, 1, 3, 96)]
    for size, channels, features, width, stride, pad, groups in rows:
        shape, kernel = (batch, size, size, channels), (width, width, channels // groups, features)
        settings = {"padding": ((pad, pad),) * 2, "window_strides": (stride,) * 2, "feature_group_count": groups}
        spec, weights = plain_and_spec((shape, kernel, settings))[1], normal(kernel, 1)
        name = f"{width}x{width}{' depthwise' * (groups > 1)} / {stride}, {channels} to {features} at {size}"
        found[name] = (shape, lambda x, weights=weights, spec=spec: convolve(x, weights, spec))
    for size, channels, features, width, added in BLOCKS:
        shape, kernel = (batch, size, size, channels), (width, width, channels, features)
        spec, weights = plain_and_spec((shape, kernel, {"padding": ((width // 2,) * 2,) * 2}))[1], normal(kernel, 1)
        following = {"scale": normal((features,), 2), "bias": normal((features,), 3), "relu": True}
        if added:
            following["addend"] = normal((batch, size, size, features), 4)
        name = f"{width}x{width}, {channels} to {features} at {size} + norm{' + sum' * added} + ReLU"
        found[name] = (shape, partial(_block, weights, spec, following))
    pooling = {"window": (1, 3, 3, 1), "strides": (1, 2, 2, 1), "padding": ((0, 0), (1, 1), (1, 1), (0, 0))}
    found["max-pool 3x3 / 2, 64 at 112"] = ((batch, 112, 112, 64), lambda x: max_pool(x, **pooling))
    return found


def _block(weights: jax.Array, spec: Any, following: dict[str, Any], x: jax.Array) -> jax.Array:
    """Return what follows a convolution, in a call with it or as the dispatcher has it without the library."""
    return convolve(x, weights, spec, **following)


def compare_operation(shape: tuple[int, ...], op: Op, pairs: int) -> dict[str, Any]:
    """Time forward and backward, with and without."""
    x = normal(shape, 0)
    cotangent = normal(jax.eval_shape(op, x).shape, 2)

    def backward(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        return jax.vjp(op, x)[1](cotangent)[0]

    found = {}
    for what, f in (("forward", lambda x, cotangent: op(x)), ("backward", backward)):
        with without_native():
            xla = jax.jit(lambda *arrays, f=f: f(*arrays)).lower(x, cotangent).compile()
        own = jax.jit(lambda *arrays, f=f: f(*arrays)).lower(x, cotangent).compile()
        timings = interleaved({"xla": partial(xla, x, cotangent), "native": partial(own, x, cotangent)}, pairs)
        found[what] = {
            "ratio": timings.ratio("xla", "native"),
            "milliseconds": [round(1e3 * timings.median(form), 3) for form in ("xla", "native")],
        }
    return found


def compare_network(name: str, batch: int, pairs: int, size: int = SIZE) -> dict[str, Any]:
    """Time the gradient of a network, with and without."""
    model, x = random_network(name), normal((batch, size, size, 3), 0)
    with without_native():
        xla = gradient(with_fast_gradients).lower(model, x).compile()
    own = gradient(with_fast_gradients).lower(model, x).compile()
    return beside({"xla": partial(xla, model, x), "native": partial(own, model, x)}, pairs)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--networks", nargs="*", default=["resnet18", "resnet50", "convnext_tiny"])
    parser.add_argument("--operations", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args()
    module, reason = optional.native()
    if module is None:
        raise SystemExit(f"benchmarks.native: {reason}.")
    found: dict[str, Any] = {"batch": chosen.batch, "onednn": module.onednn_version(), **facts()}
    for name, (shape, op) in operations(chosen.batch).items() if chosen.operations else ():
        row = found.setdefault("operations", {})[name] = compare_operation(shape, op, chosen.pairs)
        cells = [f"{what} {row[what]['milliseconds']} ms = {cell(row[what]['ratio'])} x" for what in row]
        print(f"{name:36} {'   '.join(cells)}", flush=True)
    for name in chosen.networks:
        row = found.setdefault("networks", {})[name] = compare_network(name, chosen.batch, chosen.pairs)
        seconds = [row[f"seconds, {form}"]["median"] for form in ("xla", "native")]
        print(f"{name:36} gradient {seconds} s = {cell(row['ratio'])} x", flush=True)
    print(f"written to {keep('native', found)}")


if __name__ == "__main__":
    main()
