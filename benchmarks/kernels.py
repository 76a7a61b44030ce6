"""Every form of every kernel against the plain one, on the large cases of its folder.

    python -m benchmarks.kernels [--pairs 40] [--only rank pool]

The forms that serve on this device run in turn in one process; a ratio is the plain form's time over the other's, the
median over the pairs with its interval. Operations that stand in a network are timed backward, too, also in a loop. The
tables of winners (``OP`` of each ``api.py``) are read from these rows.
"""

import argparse
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.record import facts, keep
from benchmarks.timing import PAIRS, interleaved
from jaxplain_kernels.choice import Op, operations, present
from jaxplain_kernels.convolution.api import problem_of
from jaxplain_kernels.convolution.cases import plain_and_spec
from jaxplain_kernels.mask_blend import cell_sizes
from jaxplain_kernels.mask_blend.api import Spec as MaskSpec
from jaxplain_kernels.moments.api import Spec as MomentsSpec
from jaxplain_kernels.noise_fold.api import Spec as NoiseSpec
from jaxplain_kernels.pool.api import Spec as PoolSpec
from jaxplain_kernels.rank.api import Spec as RankSpec
from jaxplain_kernels.rank_erase.api import Spec as EraseSpec

LOOPS = 4
Arrays = tuple[jax.Array, ...]


@dataclass(frozen=True)
class Setting:
    """What a case comes to.

    Attributes:
        spec: The operation's description of it.
        arrays: The arrays; of those that ``axes`` maps, the first axis is a batch.
        axes: Axes for ``vmap``, or None where the forms take the batch themselves.
        pulled: Whether cotangents are pulled back to the first array.
    """

    spec: Any
    arrays: Arrays
    axes: tuple[int | None, ...] | None = None
    pulled: bool = False


def pool(case: Any) -> Setting:
    """A max-pooling."""
    return Setting(PoolSpec(*case), (normal(case[0]),), pulled=True)


def convolution(case: Any) -> Setting:
    """A convolution with given weights."""
    arrays = normal(case[0]), normal(case[1], seed=1)
    return Setting(problem_of(*arrays, plain_and_spec(case)[1]), arrays, pulled=True)


def rank(case: Any) -> Setting:
    """Maps to rank."""
    (*rows, size), dtype = case
    scores = normal((*rows, size)).astype(dtype)
    return Setting(RankSpec(prod(rows), size, scores.dtype), (scores,))


def rank_erase(case: Any) -> Setting:
    """A batch of images with one order."""
    images, blanks = (normal((case.images, *case.shape), seed).astype(case.dtype) for seed in (0, 1))
    space = case.shape[: case.axes]
    ranks = np.random.default_rng(2).permutation(prod(space)).astype(np.int32).reshape(space)
    counts = jnp.linspace(0.0, float(prod(space)), case.steps).astype(jnp.int32)
    arrays = images, blanks, jnp.asarray(ranks), counts, jnp.arange(case.steps) % 2 == 1
    return Setting(EraseSpec(case.steps, prod(case.shape), images.dtype), arrays, (0, 0, None, None, None))


def moments(case: Any) -> Setting:
    """Samples to add up."""
    return Setting(MomentsSpec("add", case), (normal(case),))


def noise_fold(case: Any) -> Setting:
    """A key for every copy."""
    copies, shape = case
    spec = NoiseSpec(shape, jnp.dtype("float32"), "threefry2x32")
    return Setting(spec, (jax.random.split(jax.random.key(0), copies),), (0,))


def mask_blend(case: Any) -> Setting:
    """An image under many masks."""
    shape, grid, n = case
    rng = np.random.default_rng(0)
    masks = jnp.asarray(rng.integers(0, 2, (n, *grid)), jnp.float32)
    shifts = jnp.asarray(rng.integers(0, cell_sizes(shape[: len(grid)], grid), (n, len(grid))), jnp.int32)
    image = normal(shape)
    return Setting(MaskSpec(shape, image.dtype, grid, n), (image, jnp.zeros_like(image), masks, shifts))


SETTINGS: dict[str, Callable[[Any], Setting]] = {
    "pool": pool,
    "convolution": convolution,
    "rank": rank,
    "rank_erase": rank_erase,
    "moments": moments,
    "noise_fold": noise_fold,
    "mask_blend": mask_blend,
}


def settings(only: tuple[str, ...] = (), size: str = "LARGE") -> Iterator[tuple[Op, str, Setting]]:
    """Yield operation, name of the case, and setting, for operations of several forms.

    Args:
        only: Names of operations; all by default.
        size: "LARGE" or "SMALL", the cases of the operations' folders.
    """
    for op in operations():
        if len(op.forms) == 1 or (only and op.name not in only):
            continue
        cases = getattr(importlib.import_module(f"jaxplain_kernels.{op.name}.cases"), size)
        for name, case in cases.items():
            yield op, name, SETTINGS[op.name](case)


def measure(op: Op, setting: Setting, pairs: int) -> dict[str, Any]:
    """Time the forms that serve here in turn: per form, and forward or backward, the ratio to the plain form."""
    platform = present()
    serving = [form for form in op.forms if not form.refusal(setting.spec, platform)]
    if len(serving) == 1:
        return {}
    stages = {form.name: programs(partial(form.run, setting.spec), setting) for form in serving}
    plain = serving[0].name
    found: dict[str, Any] = {form.name: {} for form in serving[1:]}
    for stage in stages[plain]:
        timings = interleaved({name: run[stage] for name, run in stages.items()}, pairs)
        for name, row in found.items():
            row[stage] = {
                "ratio": timings.ratio(plain, name),
                "milliseconds": [round(1e3 * timings.median(form), 3) for form in (plain, name)],
            }
    return found


def programs(run: Callable[..., jax.Array], setting: Setting) -> dict[str, Callable[[], jax.Array]]:
    """Return the compiled forward and, where cotangents are pulled back, the backward alone and several in a loop."""
    op = run if setting.axes is None else jax.vmap(run, in_axes=setting.axes)
    forward = partial(jax.jit(op), *setting.arrays)
    if not setting.pulled:
        return {"forward": forward}

    def backward(cotangent: jax.Array, x: jax.Array, *rest: jax.Array) -> jax.Array:
        return jax.vjp(lambda x: op(x, *rest), x)[1](cotangent)[0]

    def loop(cotangent: jax.Array, x: jax.Array, *rest: jax.Array) -> jax.Array:
        def step(total: jax.Array, by: jax.Array) -> tuple[jax.Array, None]:
            return total + backward(cotangent, x * by, *rest), None

        return lax.scan(step, jnp.zeros_like(x), jnp.arange(1.0, LOOPS + 1))[0]

    cotangent = normal(jax.eval_shape(op, *setting.arrays).shape, 2)
    pulls = {"backward": jax.jit(backward), "loop": jax.jit(loop)}
    return {"forward": forward} | {name: partial(pull, cotangent, *setting.arrays) for name, pull in pulls.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument(
        "--only", nargs="+", default=(), choices=sorted(SETTINGS), help="operations to time; writes no record"
    )
    arguments = parser.parse_args()
    rows: dict[str, Any] = {}
    print(f"{'plain ms / form ms = ratio':52} {'forward':>24} {'backward':>24} {'in a loop':>24}")
    for op, case, setting in settings(tuple(arguments.only)):
        for form, row in measure(op, setting, arguments.pairs).items():
            name = f"{op.name}, {case}: {form}"
            rows[name] = row
            print(
                f"{name:52} {' '.join(_cell(row.get(stage)) for stage in ('forward', 'backward', 'loop'))}", flush=True
            )
    if not arguments.only:
        print(f"written to {keep('kernels', {**facts(), 'rows': rows})}")


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return " " * 24
    plain, own = found["milliseconds"]
    return f"{plain:.2f} / {own:.2f} = {found['ratio']['median']:.2f}".rjust(24)


def normal(shape: tuple[int, ...], seed: int = 0) -> jax.Array:
    """Return normal noise."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


if __name__ == "__main__":
    main()
