"""Time jaxplain beside its peers, and compare the maps.

    python -m benchmarks.against [--networks resnet18 resnet50 vgg16 vit_s_16] [--methods gradient lrp:epsilon_plus ...]
                                 [--peers captum zennit grad_cam shap] [--pairs 40] [--only-missing]

A cell is a network under one method beside one peer. Both sides start from arrays on the host and end with arrays on
the host: jaxplain by ``jaxplain.explain`` as a user calls it, the peer with frozen weights, in the faster memory format
and with the fastest inner batch of those that were tried for the cell. They run in turn in this process; a ratio is the
peer's time over ours, above 1 where jaxplain is faster, as the median of the pairs with its 95 % interval. An aim
counts as met when the interval reaches it. The record is written after every cell, so that a run can be taken up again
by ``--only-missing``; a full one takes hours.
"""

import argparse
import contextlib
import io
import logging
import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import record, timing
from benchmarks.against.pair import Pair
from benchmarks.against.subjects import KINDS, Subject, make
from benchmarks.against.torch_side import THREADS, Setting, best, runner
from jaxplain.core.ops import native_library

PEERS = {"captum": "captum", "zennit": "zennit", "grad_cam": "grad-cam", "shap": "shap"}
"""Peers' modules here, and what they are called where packages are."""
AIM = 1.0
LEFT_OUT = ("score_cam",)
"""Methods that run only when named: one forward pass per channel takes minutes."""
INNER = (4, 8, 16)


def pairs_of(peers: list[str], methods: list[str] | None) -> list[Pair]:
    """Return the chosen pairs."""
    found = [pair for peer in peers for pair in import_module(f"benchmarks.against.{peer}").PAIRS]
    if methods is None:
        return [pair for pair in found if pair.method not in LEFT_OUT]
    chosen = [pair for pair in found if pair.method in methods or pair.name in methods]
    unknown = set(methods) - {word for pair in found for word in (pair.method, pair.name)}
    if unknown:
        raise SystemExit(f"no pair for {sorted(unknown)}; there are {sorted({pair.name for pair in found})}")
    return chosen


def measure(pair: Pair, subject: Subject, samples: int, setting: Setting, pairs: int, precision: str) -> dict[str, Any]:
    """Return the record of one cell."""
    inner = sorted({min(n, samples * len(subject.images)) for n in INNER}) if pair.inner else ()
    agreement = pair.agreement(subject, samples, setting, precision)
    chosen, tried = best(pair.open_peer(samples), subject, setting, inner)
    ours = pair.ours(subject, samples, precision=precision)
    with runner(pair.open_peer(samples), subject, chosen) as theirs:
        synchronize = torch.cuda.synchronize if setting.device == "cuda" else None
        timings = timing.interleaved({"jaxplain": ours, "peer": theirs}, pairs, synchronize=synchronize)
    ratio = timings.ratio("peer", "jaxplain")
    return {
        "method": pair.name,
        "peer": pair.peer,
        "peer version": version(PEERS[pair.peer]),
        "peer method": pair.peer_method,
        "batch": len(subject.images),
        "samples": samples,
        "size": list(subject.images.shape[1:]),
        "setting": asdict(chosen) | {"threads": torch.get_num_threads()},
        "tried, seconds": tried,
        "precision": precision,
        "agreement": asdict(agreement),
        "seconds": timings.record(),
        "ratio": ratio,
        "aim": AIM,
        "met": timing.reaches(ratio, AIM),
        "commit": record.facts()["commit"],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def row(network: str, cell: dict[str, Any]) -> str:
    """Return a cell as a line of the table."""
    ours, theirs = (cell["seconds"][side]["median"] for side in ("jaxplain", "peer"))
    agreement = cell["agreement"]
    verdict = {True: "agree", False: "DISAGREE", None: "differ by definition"}[agreement["agrees"]]
    exact, rounding = (f"{x:.1e}" if (x := agreement[key]) is not None else "" for key in ("in_float64", "rounding"))
    return (
        f"{network:9} {cell['peer'] + '/' + cell['method']:38} {ours:8.4f} {theirs:8.4f}  "
        f"{timing.cell(cell['ratio']):20} {timing.verdict(cell['ratio'], cell['aim']):6}  "
        f"{agreement['relative_l2']:.1e} {exact:8} {rounding:8} {verdict}"
    )


def record_name() -> str:
    """Return the name of the record: with the native distribution it is another one."""
    return "against_native" if native_library() else "against"


def run(networks: list[str], pairs: list[Pair], chosen: argparse.Namespace, results: Path) -> None:
    """Measure the cells, print each and keep the record after it."""
    found = record.last(record_name(), results)
    setting = Setting(chosen.device, chosen.dtype, chosen.compile)
    precision = "bf16" if chosen.dtype == "bfloat16" else "fast"
    head = f"{'network':9} {'peer/method':38} {'ours s':>8} {'peer s':>8}  {'ratio':20} {'aim':6}"
    print(f"{head}  difference, in float64, peer's rounding", flush=True)
    for network in networks:
        cells = found.setdefault("cells", {}).setdefault(network, {})
        todo = [pair for pair in pairs if not (chosen.only_missing and pair.cell in cells)]
        gradients = chosen.gradients or KINDS[network].gradients
        largest = max((pair.work(gradients).batch for pair in todo), default=0)
        subject = make(network, n_images=largest, size=chosen.size) if todo else None
        for pair in todo:
            if subject is None or not pair.serves(subject):
                continue
            work = pair.work(gradients)
            own = Setting(setting.device, setting.dtype, setting.compile and not pair.hooks)
            with quiet():
                cell = measure(pair, subject.first(work.batch), work.samples, own, chosen.pairs, precision)
            cells[pair.cell] = cell
            record.keep(record_name(), found | record.facts() | {"peers": peer_versions()}, results)
            print(row(network, cell), flush=True)


def peer_versions() -> dict[str, str]:
    """Return the versions of what is compared with."""
    return {name: version(name) for name in ("torch", *PEERS.values())}


@contextlib.contextmanager
def quiet() -> Any:
    """Keep the peers' progress bars and warnings off the table."""
    logging.getLogger("shap").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def main(results: Path = record.RESULTS) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=KINDS, default=["resnet18", "resnet50", "vgg16", "vit_s_16"])
    parser.add_argument("--methods", nargs="+", help="methods, or single variants such as lrp:epsilon_plus")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--pairs", type=int, default=timing.PAIRS)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--gradients", type=int, help="gradients per run; chosen per network by default")
    parser.add_argument("--threads", type=int, default=THREADS, help="of PyTorch, as many as XLA has")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of PyTorch; JAX takes its own")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile, where a peer places no hooks")
    parser.add_argument("--only-missing", action="store_true", help="leave cells alone that are in the record")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    run(chosen.networks, pairs_of(chosen.peers, chosen.methods), chosen, results)


if __name__ == "__main__":
    main()
