"""Every kernel against XLA's own form, on the large cases of its folder: forward, backward, and backward in a loop.

    python -m benchmarks.kernels [--pairs 40]

Both programs run in turn in one process; a ratio is XLA's time over the kernel's, the median over the pairs with its
interval. A kernel is used where its row wins (see each ``api.py``).
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.record import facts, keep
from benchmarks.timing import PAIRS, interleaved
from jaxplain_kernels.convolution import convolve
from jaxplain_kernels.convolution.cases import LARGE as CONVOLUTIONS
from jaxplain_kernels.convolution.cases import plain_and_spec
from jaxplain_kernels.pool import max_pool
from jaxplain_kernels.pool.cases import LARGE as POOLS

LOOPS = 4
Op = Callable[[jax.Array], jax.Array]


def forms() -> dict[str, tuple[tuple[int, ...], Op, Op]]:
    """Return, per row, the input's shape, XLA's form and the kernel's."""
    found: dict[str, tuple[tuple[int, ...], Op, Op]] = {}
    for name, (shape, window, strides, padding) in POOLS.items():
        found[f"pool, {name}"] = (
            shape,
            lambda x, w=window, s=strides, p=padding: lax.reduce_window(x, -jnp.inf, lax.max, w, s, p),
            lambda x, w=window, s=strides, p=padding: max_pool(x, window=w, strides=s, padding=p),
        )
    for name, case in CONVOLUTIONS.items():
        plain, spec = plain_and_spec(case)
        kernel = _random(case[1], 1)
        found[f"convolution, {name}"] = (
            case[0],
            lambda x, f=plain, k=kernel: f(x, k),
            lambda x, k=kernel, s=spec: convolve(x, k, s),
        )
    return found


def programs(op: Op) -> dict[str, Callable[[jax.Array, jax.Array], jax.Array]]:
    """Return the compiled forward, backward, and several backwards in a loop."""

    def backward(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        return jax.vjp(op, x)[1](cotangent)[0]

    def loop(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        def step(total: jax.Array, by: jax.Array) -> tuple[jax.Array, None]:
            return total + backward(x * by, cotangent), None

        return lax.scan(step, jnp.zeros_like(x), jnp.arange(1.0, LOOPS + 1))[0]

    return {"forward": jax.jit(lambda x, _: op(x)), "backward": jax.jit(backward), "loop": jax.jit(loop)}


def compare(shape: tuple[int, ...], plain: Op, ours: Op, pairs: int) -> dict[str, Any]:
    """Time both forms in turn."""
    x = _random(shape, 0)
    cotangent = _random(jax.eval_shape(plain, x).shape, 2)
    row: dict[str, Any] = {}
    own = programs(ours)
    for what, run in programs(plain).items():
        timings = interleaved({"xla": partial(run, x, cotangent), "kernel": partial(own[what], x, cotangent)}, pairs)
        row[what] = {
            "ratio": timings.ratio("xla", "kernel"),
            "milliseconds": [round(1e3 * timings.median(form), 3) for form in ("xla", "kernel")],
        }
    return row


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    pairs = parser.parse_args().pairs
    rows = {}
    print(f"{'XLA ms / kernel ms = ratio':38} {'forward':>24} {'backward':>24} {'in a loop':>24}")
    for name, (shape, plain, ours) in forms().items():
        rows[name] = compare(shape, plain, ours, pairs)
        cells = []
        for what in ("forward", "backward", "loop"):
            xla, own = rows[name][what]["milliseconds"]
            cells.append(f"{xla:.2f} / {own:.2f} = {rows[name][what]['ratio']['median']:.2f}".rjust(24))
        print(f"{name:38} {' '.join(cells)}", flush=True)
    print(f"written to {keep('kernels', {**facts(), 'rows': rows})}")


def _random(shape: tuple[int, ...], seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


if __name__ == "__main__":
    main()
