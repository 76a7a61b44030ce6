"""Whether a method's memory grows with its samples.

    python -m benchmarks.sampling_memory [--cases ...] [--samples 10 10000] [--batch 2] [--size 32] [--chunk 5]

Every method, in its form with figures of the error, is compiled for the small network and run with few samples and with
many, in processes of its own. A row has two ratios of many over few. "compiled": the temporary memory of the
compiled program by XLA's count, the same in every run. "process": the largest resident memory, which is JAX and its
compiler for the most part; it alone shows what a method makes on the host. Chunks are equal, and expected gradients
have the same 16 backgrounds. Occlusion's windows follow the number: one pixel each where there are many.

Aim: both ratios at most 1.05.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.memory import in_child, report
from benchmarks.record import RESULTS, facts, keep, rounded

AIM = 1.05
BACKGROUNDS = 16
CASES = (
    *("smoothgrad", "smoothgrad_squared", "vargrad", "smoothdiff"),
    *("integrated_gradients", "expected_gradients", "blur_ig", "guided_ig", "idgi", "xrai"),
    *("occlusion", "rise", "sobol", "hsic", "hsic, block", "lime", "kernel_shap", "shapley_sampling"),
    *("smooth(gradient)", "smooth(integrated_gradients)", "dropout(gradient)"),
)


def compiled(case: str, samples: int, *, batch: int, size: int, chunk: int) -> tuple[Any, tuple[Any, ...]]:
    """Return the engine's compiled program of a method, and its arguments.

    Args:
        case: One of ``CASES``; of wrapped methods the wrapper's samples are meant.
        samples: Samples, steps or windows.
        batch, size: The images.
        chunk: Samples evaluated together.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from benchmarks.workloads import CASES as KNOWN
    from benchmarks.workloads import Workload, context_of, method_program, network
    from jaxplain._registry import find_method
    from jaxplain.engine.lift import id_words, prepare

    workload, model = Workload("small_cnn", case, batch, size), network("small_cnn", size)
    wrapper, _, _ = case.rstrip(")").rpartition("(")
    method = case if wrapper else KNOWN[case].method
    own = {f"{wrapper}.n_samples": samples} if wrapper else KNOWN[case].keywords(samples, size)
    x, score = workload.images(), workload.score(with_dropout(model) if wrapper == "dropout" else model)
    given = context_of(method, model, x.shape[1:], BACKGROUNDS) | own
    program, known = prepare(method, given, x_shape=x.shape[1:], diagnosed=True)
    key = jax.random.key(0) if "key" in find_method(method).context else None
    arguments = (score, x, jnp.asarray(id_words(np.arange(batch))), key, known)
    return method_program.lower(*arguments, program=program.with_chunk(chunk)).compile(), arguments


def with_dropout(model: Any) -> Any:
    """Return the network behind random pixels, drawn by a key that it holds."""
    import jax
    import jax.numpy as jnp

    from jaxplain.core.model import Model

    def apply(params: Any, batch: Any) -> Any:
        inner, key = params
        return model.apply(inner, jnp.where(jax.random.bernoulli(key, 0.9, batch.shape), batch, 0))

    return Model((model.params, jax.random.key(0)), apply)


def child(case: str, samples: int, batch: int, size: int, chunk: int) -> None:
    """Compile and run a method in this process and report."""
    import jax

    program, arguments = compiled(case, samples, batch=batch, size=size, chunk=chunk)
    began = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    seconds = rounded(time.perf_counter() - began)
    report({"temporary bytes": program.memory_analysis().temp_size_in_bytes, "seconds": seconds})


def measure(case: str, samples: list[int], *, batch: int, size: int, chunk: int, repeats: int = 1) -> dict[str, Any]:
    """Measure a method with few and with many samples; of several processes the smallest peak, as noise only adds."""

    def smallest(n: int) -> dict[str, Any]:
        words = ("--child", case, *map(str, (n, batch, size, chunk)))
        runs = [in_child("benchmarks.sampling_memory", *words) for _ in range(repeats)]
        return min(runs, key=lambda found: found["peak bytes"])

    few, many = map(smallest, samples)
    ratios = {
        name: rounded(many[kind] / few[kind])
        for name, kind in (("compiled", "temporary bytes"), ("process", "peak bytes"))
    }
    return {"few": few, "many": many, "ratios": ratios}


HEAD = f"{'method':30} {'temporary KB':>20} {'compiled':>9} {'peak MB':>12} {'process':>8} {'seconds':>8}  aim {AIM}"


def line(case: str, row: dict[str, Any]) -> str:
    """Return a row of the table."""
    few, many, ratios = row["few"], row["many"], row["ratios"]
    temporary = f"{few['temporary bytes'] / 1e3:.0f} -> {many['temporary bytes'] / 1e3:.0f}"
    peak = f"{few['peak bytes'] / 1e6:.0f} -> {many['peak bytes'] / 1e6:.0f}"
    return (
        f"{case:30} {temporary:>20} {ratios['compiled']:9.3f} {peak:>12} {ratios['process']:8.3f} "
        f"{many['seconds']:8.1f}  {'met' if max(ratios.values()) <= AIM else 'MISSED'}"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--samples", type=int, nargs=2, default=[10, 10_000], help="few and many")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=5)
    parser.add_argument(
        "--repeats", type=int, default=3, help="processes for each number, of which the smallest counts"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args()
    tell = partial(print, flush=True)
    settings = {name: getattr(chosen, name) for name in ("samples", "batch", "size", "chunk", "repeats")}
    rows: dict[str, Any] = {}
    tell(HEAD)
    for case in chosen.cases:
        try:
            rows[case] = measure(case, **settings)
        except RuntimeError as error:
            tell(f"{case:30} left out: {str(error).splitlines()[-1]}")
            continue
        tell(line(case, rows[case]))
    tell(f"written to {keep('sampling_memory', {**facts(), **settings, 'aim': AIM, 'rows': rows}, chosen.results)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], *map(int, sys.argv[3:7]))
    else:
        main()
