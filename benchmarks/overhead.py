"""What a method costs beyond the passes that it means: its images/s against samples x bare gradient or forward pass.

    python -m benchmarks.overhead [--networks resnet18 resnet50] [--cases ...] [--batch 8] [--pairs 40]

The method runs in the engine's own compiled program, with the chunk that the engine chooses. In every round run, in
turn, the method, the bare gradient of the same batch with the engine's speed rules and without, and the bare forward
pass. A round's ratio is the time of the bare passes that the method's formula takes (column "passes": gradients +
forward passes) over the method's time: 1 means no overhead. On CPUs the engine gives gradients speed rules, so that
"with rules" is the harder comparison; elsewhere there is one bare gradient.

Utilization: the operations of those bare passes by XLA's count (without speed rules), per second of the method, over
the measured rate of a matrix product.

Aim: at least 0.95 of the bare passes with rules, met when the interval of the median reaches it.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from benchmarks.ceiling import ceiling, precision_of
from benchmarks.record import RESULTS, device_folder, facts, keep, last, rounded
from benchmarks.timing import PAIRS, Compiled, cell, compiled, interleaved, verdict, with_interval
from benchmarks.workloads import CASES, USUAL, Passes, Workload, forwards, gradients, method_program, network
from jaxplain._errors import InputError
from jaxplain.core.model import Model
from jaxplain.engine.precision import at_precision

AIM = 0.95


def bare_programs(workload: Workload, model: Model) -> dict[str, Compiled]:
    """Return the compiled passes that methods are measured in: of one network, batch and size."""
    score, x = workload.score(model), workload.images()
    programs = {
        "gradient": compiled(gradients, score, x, fast=False),
        "forward": compiled(forwards, score, x),
    }
    if jax.default_backend() == "cpu":
        programs["gradient with rules"] = compiled(gradients, score, x, fast=True)
    return programs


def compiled_method(workload: Workload, model: Model, **memory: str) -> Compiled:
    """Return the engine's compiled program of a method on a network.

    Raises:
        InputError: The method does not fit the network, or takes a pass per channel of a layer.
    """
    if workload.passes is None:
        raise InputError(f"{workload.case}: takes a pass per channel of its layer; it is not measured in bare passes.")
    arguments, program = workload.call(model, **memory)
    return compiled(method_program, *arguments, program=program)


def measure(
    workload: Workload, method: Compiled, bare: dict[str, Compiled], *, pairs: int, rate: float
) -> dict[str, Any]:
    """Run a method and its bare passes in turn.

    Args:
        workload: The method, on which batch.
        method: What ``compiled_method`` returned.
        bare: What ``bare_programs`` returned.
        pairs: Rounds.
        rate: The ceiling, in GFLOP/s.
    """
    passes = workload.passes or Passes()
    kinds = [kind for kind in bare if passes.forwards or kind != "forward"]
    timings = interleaved({"method": method.run, **{kind: bare[kind].run for kind in kinds}}, pairs)
    seconds = timings.seconds | {"forward": timings.seconds.get("forward", [0.0] * pairs)}

    def ratio(gradient: str) -> dict[str, Any]:
        rounds = zip(seconds["method"], seconds[gradient], seconds["forward"], strict=True)
        return with_interval([(passes.gradients * g + passes.forwards * f) / whole for whole, g, f in rounds])

    operations = passes.gradients * (bare["gradient"].flops or 0) + passes.forwards * (bare["forward"].flops or 0)
    done = 1e-9 * operations / timings.median("method")
    return {
        "passes": passes._asdict(),
        "commit": facts()["commit"],
        "images per second": with_interval([workload.batch / one for one in seconds["method"]]),
        "ratio": ratio("gradient with rules" if "gradient with rules" in bare else "gradient"),
        "ratio, without rules": ratio("gradient"),
        "GFLOP/s": rounded(done),
        "utilization": rounded(done / rate),
        "compilation": method.record(),
        **{f"seconds, {name}": figures for name, figures in timings.record().items()},
    }


def run(
    networks: Sequence[str],
    cases: Sequence[str],
    *,
    shape: Callable[[Workload], Workload],
    pairs: int,
    precision: str = "fast",
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure cases on networks; what does not fit together is told and left out.

    Args:
        networks: Names.
        cases: Names of ``CASES``.
        shape: Gives a workload its batch, size and samples.
        pairs: Rounds of each.
        precision: The engine's: "exact", "fast" or "bf16".
        tell: Takes the lines of the table as they come.
    """
    rate = ceiling(precision_of(precision))
    rows: dict[str, Any] = {}
    tell(f"matrix product: {rate['GFLOP/s']:.0f} GFLOP/s\n{HEAD}")
    for name in networks:
        first = shape(Workload(name, "gradient"))
        model, context = at_precision(network(first.network, first.size), precision)
        with context:
            bare = bare_programs(first, model)
            for case in cases:
                try:
                    workload = shape(Workload(name, case))
                    method = compiled_method(workload, model)
                    row = measure(workload, method, bare, pairs=pairs, rate=rate["GFLOP/s"])
                except InputError as error:
                    tell(f"{name:10} {case:24} left out: {error}")
                    continue
                rows[f"{name}, {case}"] = row
                tell(line(name, case, row))
    return {"precision": precision, "ceiling": rate, "rows": rows}


HEAD = (
    f"{'network':10} {'method':24} {'passes':>7} {'images/s':>9} {'bare/method, with rules':>24} {'without rules':>19} "
    f"{'GFLOP/s':>8} {'of ceiling':>10}  aim {AIM}"
)


def line(name: str, case: str, row: dict[str, Any]) -> str:
    """Return a row of the table."""
    return (
        f"{name:10} {case:24} {counted(row['passes']):>7} {row['images per second']['median']:9.2f} "
        f"{cell(row['ratio']):>24} {cell(row['ratio, without rules']):>19} {row['GFLOP/s']:8.1f} "
        f"{row['utilization']:10.0%}  {verdict(row['ratio'], AIM)}"
    )


def counted(passes: dict[str, int]) -> str:
    """Return passes as gradients and forward passes: ``1g+16f``."""
    return "+".join(f"{number}{kind[0]}" for kind, number in passes.items() if number)


def rows_before(results: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the last record, if it was made with these settings.

    Raises:
        SystemExit: It was made with others.
    """
    before = last("overhead", results) or settings | {"rows": {}}
    if any(before[name] != value for name, value in settings.items()):
        place = device_folder(results) / "overhead.json"
        raise SystemExit(f"{place}: made with other settings than {settings}; leave --add out to begin a new record.")
    return dict(before["rows"])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["resnet18", "resnet50"])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=USUAL, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--samples", type=int, default=16, help="samples, steps or windows of methods that have them")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--precision", choices=("exact", "fast", "bf16"), default="fast")
    parser.add_argument("--add", action="store_true", help="keep the record's other rows, where made with these sizes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args()
    settings = {"batch": chosen.batch, "size": chosen.size, "samples": chosen.samples}
    before = rows_before(chosen.results, settings | {"precision": chosen.precision}) if chosen.add else {}

    def shape(workload: Workload) -> Workload:
        return Workload(workload.network, workload.case, chosen.batch, chosen.size, chosen.samples)

    found = run(
        chosen.networks,
        chosen.cases,
        shape=shape,
        pairs=chosen.pairs,
        precision=chosen.precision,
        tell=partial(print, flush=True),
    )
    found["rows"] = before | found["rows"]
    print(f"written to {keep('overhead', {**facts(), **settings, **found}, chosen.results)}")


if __name__ == "__main__":
    main()
