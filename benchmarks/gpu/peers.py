"""Captum beside jaxplain on the accelerator: same weights, images and precision, eager and compiled, run in turn.

Both sides go from host arrays to host arrays. Captum has channels last, autocast where the precision is bfloat16, and
an inner batch as large as the images are; ``torch.compile`` serves where no hooks are placed in the network. The maps
of both are compared beside the speed.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.clock import LEFT_OUT, Clock
from benchmarks.timing import cell, interleaved

METHODS = ("gradient", "integrated_gradients", "smoothgrad", "grad_cam")
PRECISIONS = {"bf16": "bfloat16", "fast": "float32"}

Row = dict[str, Any]


def rows(network: str, clock: Clock, *, device: str, batch: int, samples: int, size: int, rounds: int) -> Iterator[Row]:
    """Yield a row per method, precision and way of Captum, the most telling first."""
    try:
        import torch

        from benchmarks.against import captum
        from benchmarks.against.subjects import make
        from benchmarks.against.torch_side import Setting, runner
    except ImportError as missing:
        yield {"row": "peers", "left out": f"{missing.name or missing} is not installed"}
        return
    torch.set_float32_matmul_precision("high")  # TF32, as jaxplain's "fast" has it
    subject = make(network, n_images=batch, size=size)
    pairs = {pair.method: pair for pair in captum.PAIRS if pair.method in METHODS and pair.serves(subject)}
    todo = [
        (method, precision, compile)
        for compile in (False, True)
        for precision in PRECISIONS
        for method in METHODS
        if method in pairs and not (compile and pairs[method].hooks)
    ]
    for method, precision, compile in todo:
        way = "compiled" if compile else "eager"
        named = {"row": f"captum, {method}", "network": network, "precision": precision, "way": way}
        if clock.left < 0:
            yield named | LEFT_OUT
            continue
        pair = pairs[method]
        setting = Setting(device, PRECISIONS[precision], compile, channels_last=True, inner=max(batch, samples))
        ours = pair.ours(subject, samples, precision=precision)
        try:
            with runner(pair.open_peer(samples), subject, setting) as theirs:
                times = interleaved({"peer": theirs, "ours": ours}, rounds)
            found = pair.agreement(subject, samples, setting, precision)
        except Exception as error:
            yield named | {"failed": f"{type(error).__name__}: {error}"[:300]}
            continue
        ratio = times.ratio("peer", "ours")
        yield named | {
            "batch": batch,
            "samples": samples,
            "images/s": batch / times.median("ours"),
            "images/s, peer": batch / times.median("peer"),
            "ratio": ratio,
            "as text": cell(ratio),
            "relative L2": found.relative_l2,
            "cosine": found.cosine,
        }
