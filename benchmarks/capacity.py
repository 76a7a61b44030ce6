"""What many images need on many devices, from measured costs, and what saturates first.

    python -m benchmarks.capacity [--size 224] [--storage 5]

Measured on this machine, per image: decoding a JPEG photograph of 500x375 pixels to the input (seconds of one core),
the device step (ResNet-50, gradient and SmoothGrad-16, seconds of one device), the write path (bytes per second of one
worker, ``benchmarks.store``) with the stored bytes of a map, and the global maps (seconds of the one process that makes
them). From these `needs` computes the rest, and the tables say what it assumes: reading, device and writing overlap;
eight devices share a host, a worker and its writer (of CPUs each has its own, and its cores decode as well);
the storage that all share takes ``--storage`` GB/s; the global maps come after everything, by one process.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxplain
from benchmarks.demo_job import open_place
from benchmarks.record import RESULTS, facts, keep, rounded
from benchmarks.store import OURS, measure
from benchmarks.workloads import network
from jaxplain.engine.finalize import finalize
from jaxplain.engine.job import Explanation, Job, PlanRequest
from jaxplain.engine.run import run
from jaxplain.io.groups import write_groups
from jaxplain.io.input import Input
from jaxplain.io.sources.arrays import array_source
from jaxplain.io.sources.decoding import decode_image

IMAGES = (1_280_000, 100_000_000)
DEVICES = (8, 64, 1024)
PER_HOST = 8
PHOTO = (500, 375)
SHARD_BYTES = 200e6
INDEX_BYTES = 88
"""Of one image in the index of a worker: five numbers of 8 bytes, the name's offset, and a name of 40."""
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient": ("gradient", {}),
    "smoothgrad, 16 samples": ("smoothgrad", {"n_samples": 16}),
}
DEVICE, DECODE, WRITE, STORAGE, GLOBAL = "device", "decode", "write", "storage", "global maps"
STAGES = (DEVICE, DECODE, WRITE, STORAGE, GLOBAL)


@dataclass(frozen=True)
class Costs:
    """What one image costs.

    Args:
        decode: Seconds of one core.
        step: Seconds of one device.
        stored: Bytes in the store.
        write: Bytes per second of one worker's write path.
        finalize: Seconds of the process that makes the global maps.
    """

    decode: float
    step: float
    stored: float
    write: float
    finalize: float


@dataclass(frozen=True)
class Cluster:
    """Where the images are explained.

    Args:
        devices: How many.
        cores: Cores beside each device.
        per_host: Devices of one host, which share a worker and its writer.
        storage: Bytes per second that the storage of all takes.
        shared: Whether the cores are the device, so that decoding takes its time.
    """

    devices: int
    cores: float
    per_host: int
    storage: float
    shared: bool = False


@dataclass(frozen=True)
class Needs:
    """What a number of images needs.

    Args:
        seconds: By stage, each as if it were alone.
        total: Seconds: the longest of the stages that overlap, and the global maps behind them.
        first: The stage that takes longest, which saturates first.
        stored: Bytes of the store.
        shards: Shards of 200 MB.
        index: Bytes of the index in the memory of every worker.
    """

    seconds: Mapping[str, float]
    total: float
    first: str
    stored: float
    shards: int
    index: float


def needs(images: int, costs: Costs, cluster: Cluster) -> Needs:
    """Return what explaining so many images needs."""
    hosts = -(-cluster.devices // cluster.per_host)
    seconds = {
        DEVICE: images * costs.step / cluster.devices,
        DECODE: images * costs.decode / (cluster.cores * cluster.devices),
        WRITE: images * costs.stored / (costs.write * hosts),
        STORAGE: images * costs.stored / cluster.storage,
        GLOBAL: images * costs.finalize,
    }
    computing = seconds[DEVICE] + (seconds[DECODE] if cluster.shared else 0.0)
    overlapping = max(computing, *(seconds[stage] for stage in (DECODE, WRITE, STORAGE)))
    return Needs(
        seconds,
        overlapping + seconds[GLOBAL],
        max(seconds, key=lambda stage: seconds[stage]),
        images * costs.stored,
        -(-images // max(1, int(SHARD_BYTES // costs.stored))),
        images * INDEX_BYTES,
    )


def enough(costs: Costs, cluster: Cluster) -> float:
    """Return the number of devices beyond which another one shortens the smaller part of the time.

    The device's part falls with their number; what the shared storage and the one process of the global maps take does
    not. Beyond the ratio of the two, the latter is the larger part.
    """
    return costs.step / max(costs.stored / cluster.storage, costs.finalize)


def costs_of(found: Mapping[str, Any], method: str) -> Costs:
    """Return the costs of a record for one of its methods."""
    shared = {name: found["costs"][name] for name in ("decode", "stored", "write", "finalize")}
    return Costs(step=found["costs"]["step"][method], **shared)


def cluster_of(found: Mapping[str, Any], devices: int) -> Cluster:
    """Return a cluster of machines such as the record's."""
    return Cluster(devices, **found["machine"])


def measured_decode(size: int, *, repeats: int = 40) -> float:
    """Return the seconds of one core for a photograph of JPEG: decoded, resized to 8/7 of the size, cropped, scaled."""
    width, height = PHOTO
    coarse = np.random.default_rng(0).integers(0, 256, (height // 12, width // 12, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(PHOTO, Image.Resampling.BICUBIC).save(out, "jpeg", quality=90)
    how = Input(resize=size * 8 // 7, crop=size, divisor=255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    decode_image(out.getvalue(), how)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        decode_image(out.getvalue(), how)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def measured_steps(network_name: str, size: int, batch: int) -> dict[str, float]:
    """Return the seconds of one device per image, by method: the median of three batches behind the first."""
    model = network(network_name, size)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype(np.float32))
    found = {}
    for name, (method, keywords) in METHODS.items():
        key = jax.random.key(0) if "n_samples" in keywords else None
        seconds = []
        for _ in range(4):
            began = time.perf_counter()
            jaxplain.explain(
                model, images, jaxplain.Logit(0), method=method, key=key, batch=batch, devices=1, **keywords
            )
            seconds.append((time.perf_counter() - began) / batch)
        found[name] = float(np.median(seconds[1:]))
    return found


def measured_finalize(size: int, folder: Path, *, n: int = 128) -> float:
    """Return the seconds of the global maps per image: maps of three channels, ten labels."""
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(size=(size * size * 3, 10)).astype(np.float32))
    model = jaxplain.from_function(_linear, weights)
    images = rng.integers(0, 256, (n, size, size, 3), np.uint8)
    source = array_source(images, np.arange(n) % 10, input=Input(divisor=255))
    place, storage = open_place(folder)
    request = PlanRequest(batch=16, rows_per_shard=64)
    job = Job(model, jaxplain.Predicted(), (Explanation("gradient", "gradient"),), request=request, n_labels=10)
    run(job, source, place)
    store, seconds = jaxplain.open(storage.url), []
    for _ in range(3):
        began = time.perf_counter()
        finalize(store, partial(write_groups, storage), methods=["gradient"], n_labels=10)
        seconds.append((time.perf_counter() - began) / n)
    return float(np.median(seconds))


def _linear(weights: Any, batch: Any) -> Any:
    return batch.reshape(len(batch), -1) @ weights


def measured(
    size: int, batch: int, storage: float, *, network_name: str = "resnet50", megabytes: float = 200.0
) -> dict[str, Any]:
    """Measure all costs on this machine."""
    on_cpu = jax.default_backend() == "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        written = measure(megabytes, 2, 3, size, Path(temporary))
        made = measured_finalize(size, Path(temporary) / "store", n=max(16, min(128, round(megabytes))))
    costs = {
        "decode": rounded(measured_decode(size)),
        "step": {name: rounded(one) for name, one in measured_steps(network_name, size, batch).items()},
        "stored": rounded(written["stored bytes"] / (written["shards"] * written["rows per shard"])),
        "write": rounded(1e6 * written["MB/s"][OURS]),
        "finalize": rounded(made),
    }
    cores = (os.cpu_count() or 1) / jax.local_device_count()
    machine = {"cores": cores, "per_host": 1 if on_cpu else PER_HOST, "storage": storage, "shared": on_cpu}
    return {"network": network_name, "size": size, "batch": batch, "costs": costs, "machine": machine}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--storage", type=float, default=5.0, help="GB/s of the storage that all devices share")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    found = {**facts(), **measured(chosen.size, chosen.batch, 1e9 * chosen.storage)}
    for name, cost in found["costs"].items():
        print(f"{name:10} {cost}")
    for method in METHODS:
        costs = costs_of(found, method)
        for images in IMAGES:
            for devices in DEVICES:
                one = needs(images, costs, cluster_of(found, devices))
                print(f"{method}, {images:,} images, {devices:,} devices: {one.total / 3600:,.1f} h, first {one.first}")
    print(f"written to {keep('capacity', found, chosen.results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
