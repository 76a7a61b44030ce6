"""Results of record: with commit, device and versions, as JSON in ``benchmarks/results/<device>/``."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxplain.core.ops import native_library

RESULTS = Path(__file__).parent / "results"


def facts() -> dict[str, Any]:
    """Return what figures are measured with; ``changed`` tells whether the tree differs from the commit."""
    return {
        "commit": _git("rev-parse", "HEAD") or None,
        "changed": bool(_git("status", "--porcelain", "--", "jaxplain", "kernels", "benchmarks/*.py")),
        "device": jax.devices()[0].device_kind,
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 2),  # figures from a machine with other work are hints
        "versions": {name: version(name) for name in ("jax", "jaxlib", "numpy")}
        | {"python": platform.python_version()}
        | ({"jaxplain-native": native_library()} if native_library() else {}),
    }


def device_folder(results: Path = RESULTS) -> Path:
    """Return the folder of the present device's records."""
    return results / jax.devices()[0].device_kind.lower().replace(" ", "-")


def keep(name: str, found: dict[str, Any], results: Path = RESULTS) -> Path:
    """Write a result, facts included, and return where."""
    return write(device_folder(results) / f"{name}.json", found)


def last(name: str, results: Path = RESULTS) -> dict[str, Any]:
    """Return the present device's last record of a name; empty if there is none."""
    place = device_folder(results) / f"{name}.json"
    return dict(json.loads(place.read_text())) if place.exists() else {}


def write(place: Path, found: dict[str, Any]) -> Path:
    """Write a result at a place, and return it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return place


def spread(values: list[float]) -> dict[str, Any]:
    """Return median, quartiles, extremes and the values themselves."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {
        "median": rounded(median),
        "quartiles": [rounded(low), rounded(high)],
        "range": [rounded(min(values)), rounded(max(values))],
        "values": [rounded(value) for value in values],
    }


def rounded(value: float) -> float:
    """Return a figure with the five digits that are worth keeping: seconds may be microseconds."""
    return float(f"{float(value):.5g}")


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
