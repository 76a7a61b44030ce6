"""What the store's formats lose and take: float16 with a scale per map against float32, coarse maps against full ones.

    python -m benchmarks.formats [--network resnet18] [--images 32] [--size 64] [--families ...]

One method of every family explains random images on a network with random weights, and the maps go through a store, in
both formats, as a run writes them. The error of float16 is that of the maps that are read: per map as a relative L2
norm, and per entry as a fraction of the bound, 2^-11 of the map's largest magnitude. Bytes are those of the files.
CAMs are stored at the layer's resolution; their line "full" is at that of the images.

Aim: no entry beyond its bound.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import jaxplain
from benchmarks.demo_job import open_place
from benchmarks.record import RESULTS, facts, keep, rounded
from benchmarks.workloads import network, spatial_layer
from jaxplain.core.targets import Predicted
from jaxplain.engine.job import Explanation, Job, PlanRequest
from jaxplain.engine.run import run
from jaxplain.io.encoding import ERROR_BOUND
from jaxplain.io.sources.arrays import array_source

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient": ("gradient", {}),
    "input times gradient": ("input_x_gradient", {}),
    "path": ("integrated_gradients", {"baseline": 0.0, "n_steps": 8}),
    "noise, mean": ("smoothgrad", {"n_samples": 8}),
    "noise, variance": ("vargrad", {"n_samples": 8}),
    "rectified gradient": ("guided_backprop", {}),
    "relevance": ("lrp", {"composite": "epsilon_plus"}),
    "multipliers": ("deeplift", {"baseline": 0.0}),
    "windows": ("occlusion", {"baseline": 0.0, "window": (16, 16), "stride": (16, 16)}),
    "random masks": ("rise", {"baseline": 0.0, "n_samples": 64}),
    "coalitions of segments": ("kernel_shap", {"baseline": 0.0, "n_samples": 64}),
    "CAM": ("grad_cam", {}),
    "CAM, full": ("grad_cam", {}),
}
"""By family: a method and its keywords; CAMs get the network's last layer with space."""


def stored(name: str, network_name: str, n: int, size: int, store: str) -> tuple[np.ndarray, int]:
    """Run a family's method into a store; return the maps that are read and the bytes of their files."""
    method, keywords = FAMILIES[name]
    keywords = dict(keywords)
    model = network(network_name, size)
    images = np.random.default_rng(0).normal(size=(n, size, size, 3)).astype(np.float32)
    if method == "grad_cam":
        keywords["layer"] = spatial_layer(model, images.shape[1:])
    if method == "kernel_shap":
        keywords["segments"] = np.arange(size * size).reshape(size, size) * 16 // size**2
    request = PlanRequest(batch=8, store=store, coarse=not name.endswith("full"))  # type: ignore[arg-type]
    job = Job(model, Predicted(), (Explanation("maps", method, keywords),), request=request)
    with tempfile.TemporaryDirectory() as folder:
        where, storage = open_place(Path(folder) / "store")
        run(job, array_source(images), where)
        n_bytes = sum(file.stat().st_size for file in (Path(folder) / "store" / "maps").rglob("*") if file.is_file())
        return jaxplain.open(storage.url).maps("maps")[:], n_bytes


def measure(name: str, network_name: str, n: int, size: int) -> dict[str, Any]:
    """Compare the two formats on the maps of a family."""
    (exact, bytes32), (half, bytes16) = (stored(name, network_name, n, size, kind) for kind in ("float32", "float16"))
    exact, half = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (exact, half))
    # A map of zeros has no error in either.
    kept = np.abs(exact).max(axis=1) > 0
    error, exact = (half - exact)[kept], exact[kept]
    relative = np.linalg.norm(error, axis=1) / np.linalg.norm(exact, axis=1)
    of_bound = np.abs(error).max(axis=1) / (ERROR_BOUND * np.abs(exact).max(axis=1))
    return {
        "method": FAMILIES[name][0],
        "relative L2, median": rounded(np.median(relative)),
        "relative L2, largest": rounded(relative.max()),
        "of the bound, largest": rounded(of_bound.max()),
        "bytes per image, float16": round(bytes16 / n),
        "bytes per image, float32": round(bytes32 / n),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows = {}
    for name in given.families:
        rows[name] = row = measure(name, given.network, given.images, given.size)
        print(f"{name:24}", *(f"{value:>22}" for value in row.values()))
    found = {**facts(), "network": given.network, "images": given.images, "size": given.size, "rows": rows}
    print(f"written to {keep('formats', found, given.results)}")


if __name__ == "__main__":
    main()
