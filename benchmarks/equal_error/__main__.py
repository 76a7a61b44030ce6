"""Evaluations and seconds to the same error: nodes of paths, random masks, and samples of coalitions.

    python -m benchmarks.equal_error [--networks shapes_resnet18 fashion_mnist] [--small]

Two trained networks in one process, float32, all methods compiled and mapped over the images. ``paths``: gradients to a
completeness gap of 1 % of the score's change, and to a map within 1 % of a rule of very many nodes, since a small gap
is not a small error; forward passes of a probe are counted apart. A bound counts as reached where it holds for this
number of nodes and the next that is tried; "next not asked" counts lucky crossings of zero too. ``masks`` and
``coalitions``: evaluations from which the error stays below a tolerance. The modules say against which truth, and what
is not comparable. Ratios are medians over images with the interval of the median.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.equal_error import coalitions, masks, paths
from benchmarks.equal_error.subjects import SUBJECTS, NoImagesError, Subject
from benchmarks.equal_error.table import text
from benchmarks.record import RESULTS, facts, keep

# By network and part, the images of each and what the part is told; ResNet-18 takes about a hundred times as long.
FULL: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {
    "shapes_resnet18": {
        "paths": (6, {}),
        "masks": (1, {"most": 2048, "n_others": 16_384}),
        "coalitions": (6, {}),
    },
    "fashion_mnist": {
        "paths": (32, {}),
        "masks": (4, {"most": 8192}),
        "coalitions": (32, {}),
    },
}
SMALL: dict[str, tuple[int, dict[str, Any]]] = {
    "paths": (2, {"ladder": (1, 2, 4, 8, 16), "n_points": 32, "n_reference": 64}),
    "masks": (1, {"n_keys": 2, "most": 256, "n_reference": 1024, "n_others": 1024}),
    "coalitions": (2, {"n_keys": 4, "most": 384}),
}
CALIBRATED_ON = 8


def measure(subject: Subject, parts: dict[str, tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Return all figures of one network; the last of its images calibrate the nodes."""
    found: dict[str, Any] = {"network": subject.known | {"shape": list(subject.images.shape[1:])}, "seconds": {}}
    n_images = len(subject.images) - CALIBRATED_ON
    for part, (n, settings) in parts.items():
        began, own = time.perf_counter(), subject.part(0, n)
        if part == "paths":
            found[part] = paths.measure(own, subject.part(n_images, CALIBRATED_ON), **settings)
        else:
            found[part] = {"masks": masks.measure, "coalitions": coalitions.measure}[part](own, **settings)
        found["seconds"][part] = round(time.perf_counter() - began, 1)
        print(f"{part}: {found['seconds'][part]} s", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 1 where a network could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.equal_error",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--networks", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--small", action="store_true", help="few images and short ladders, to see that all parts work")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the record")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    found: dict[str, Any] = {"networks": {}, "not measured": {}, "small": options.small}
    for name in options.networks:
        parts = SMALL if options.small else FULL[name]
        prepared = time.perf_counter()
        try:
            subject = SUBJECTS[name](max(n for n, _ in parts.values()) + CALIBRATED_ON)
        except NoImagesError as error:
            found["not measured"][name] = str(error)
            continue
        seconds = round(time.perf_counter() - prepared, 1)
        print(f"{name}: ready after {seconds} s", flush=True)
        found["networks"][name] = measure(subject, parts)
        found["networks"][name]["seconds"]["network"] = seconds
    found |= {"seconds": round(time.perf_counter() - began, 1), **facts()}
    place = keep("equal_error", found, options.results)
    print(f"{text(found)}\n\n{found['seconds']} s; written to {place}")
    return int(bool(found["not measured"]))


if __name__ == "__main__":
    raise SystemExit(main())
