"""Captum beside jaxplain on the accelerator: same weights, images and precision, eager and compiled, run in turn.

Both sides go from host arrays to host arrays. Captum has channels last, autocast where the precision is bfloat16, and
an inner batch as large as the images are; ``torch.compile`` serves where no hooks are placed in the network. The maps
of both are compared beside the speed.
"""

import warnings
from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import LEFT_OUT, Row, failed
from benchmarks.timing import cell, interleaved
from jaxplain.engine.precision import Precision

METHODS = ("gradient", "integrated_gradients", "smoothgrad", "grad_cam")
PRECISIONS: dict[Precision, str] = {"bf16": "bfloat16", "fast": "float32"}


WAYS = ("eager", "compiled")


def rows(
    network: str,
    clock: Clock,
    *,
    device: str,
    batch: int,
    samples: int,
    size: int,
    rounds: int,
    ways: tuple[str, ...] = WAYS,
) -> Iterator[Row]:
    """Yield a row per method, precision and way of Captum, the most telling first."""
    try:
        import torch

        from benchmarks.against import captum
        from benchmarks.against.subjects import make
        from benchmarks.against.torch_side import Setting
    except ImportError as missing:
        yield {"row": "peers", "left out": f"{missing.name or missing} is not installed"}
        return
    torch.set_float32_matmul_precision("high")  # TF32, as jaxplain's "fast" has it
    subject = make(network, n_images=batch, size=size)
    pairs = {pair.method: pair for pair in captum.PAIRS if pair.method in METHODS and pair.serves(subject)}
    todo = [
        (method, precision, way)
        for way in ways
        for precision in PRECISIONS
        for method in METHODS
        if method in pairs and not (way == "compiled" and pairs[method].hooks)
    ]
    for method, precision, way in todo:
        named = {"row": f"captum, {method}", "network": network, "precision": precision, "way": way}
        if clock.left < 0:
            yield named | LEFT_OUT
            continue
        setting = Setting(
            device, PRECISIONS[precision], way == "compiled", channels_last=True, inner=max(batch, samples)
        )
        try:
            yield named | _beside(pairs[method], subject, samples, setting, precision, rounds)
        except Exception as error:  # a way that fails is a row of the table
            yield named | failed(error)


def _beside(pair: Any, subject: Any, samples: int, setting: Any, precision: Precision, rounds: int) -> Row:
    from benchmarks.against.torch_side import runner

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells at every call what it sets by itself
        with runner(pair.open_peer(samples), subject, setting) as theirs:
            times = interleaved({"peer": theirs, "ours": pair.ours(subject, samples, precision=precision)}, rounds)
        found = pair.agreement(subject, samples, setting, precision)
    ratio, batch = times.ratio("peer", "ours"), len(subject.images)
    return {
        "batch": batch,
        "samples": samples,
        "images/s": batch / times.median("ours"),
        "images/s, peer": batch / times.median("peer"),
        "ratio": ratio,
        "as text": cell(ratio),
        "relative L2": found.relative_l2,
        "cosine": found.cosine,
    }
