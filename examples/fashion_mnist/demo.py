"""The main job, end to end: fetch the data, train, explain 10,000 images, aggregate, run PEPPR, report.

``make demo``, or ``python -m examples.fashion_mnist.demo [--data DIR] [--output DIR] [--full] [--until STAGE]``.
Whatever an earlier call has finished is used again; a killed call goes on where it was.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from examples.fashion_mnist import fetch, train
from examples.fashion_mnist.subjects import FashionMnist, Generated, Subject, classes, job, pixels

STAGES = ("data", "train", "run", "peppr", "report")
SEED = 0
# What `--full` changes of the job's [peppr].
FULL = ('peppr.groups=["overall/*", "label/*"]', "peppr.images=10000", "peppr.resamples=1000")


def commands(folder: Path, *, full: bool) -> dict[str, tuple[str, ...]]:
    """The command lines of the last three stages."""
    job_file, store = os.path.relpath(folder / "job.toml"), os.path.relpath(folder / "store")
    changes = [word for change in FULL for word in ("--set", change)] if full else []
    return {"run": ("run", job_file), "peppr": ("peppr", job_file, *changes), "report": ("report", store)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when all is done."""
    options = _options(arguments)
    console = Console()
    begun = time.monotonic()
    stages = STAGES[: STAGES.index(options.until) + 1]
    try:
        subject = _data(options, console)
        folder = (options.output / subject.name).absolute()
        if "train" in stages:
            _train(subject, folder, console)
        if "run" in stages:
            shutil.copyfile(subject.job_file, folder / "job.toml")  # what it names lies beside it
        for stage in stages[2:]:
            _heading(console, stage)
            _jaxplain(*commands(folder, full=options.full)[stage])
    except fetch.GivenPathError as error:
        console.print(str(error), markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from here.")
        return 130
    minutes, seconds = divmod(round(time.monotonic() - begun), 60)
    console.print(f"\nDone in {minutes} min {seconds} s.")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description="Fashion-MNIST from data to report.")
    parser.add_argument("--data", type=Path, help="folder with the four files of Fashion-MNIST")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where the results go (default: runs)")
    parser.add_argument(
        "--full", action="store_true", help="PEPPR of every global map on every image; takes much longer"
    )
    parser.add_argument("--generated", action="store_true", help="run on the generated set")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="stop after this stage")
    return parser.parse_args(arguments)


def _data(options: argparse.Namespace, console: Console) -> Subject:
    _heading(console, "data")
    if options.generated:
        return Generated()
    found = fetch.fetch(options.data, console=console)
    if found is None:
        console.print("Fashion-MNIST cannot be reached from here: the demo runs on the generated aligned set instead.")
        return Generated()
    console.print(f"Fashion-MNIST from {found.origin}: {found.folder}", markup=False, highlight=False, soft_wrap=True)
    return FashionMnist(found.folder)


def _train(subject: Subject, folder: Path, console: Console) -> None:
    """Train unless a checkpoint of the same settings is there, and tell the accuracy."""
    _heading(console, "train")
    settings = {"subject": subject.name, "epochs": subject.epochs, "seed": SEED, "job": job(subject)["model"]}
    record = folder / "training.json"
    done = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    if done.get("settings") == settings and all((folder / name).is_dir() for name in ("data", "checkpoint")):
        console.print(f"Trained before: test accuracy {done['accuracy']:.2%}.")
        return
    (folder / "data").mkdir(parents=True, exist_ok=True)
    training, explained = subject.splits()
    subject.place(folder / "data", explained)
    prepare = pixels(subject).from_arrays
    begun = time.monotonic()
    with _bar(console) as progress:
        task = progress.add_task("training", total=None, loss="")

        def advance(step: int, steps: int, loss: float) -> None:
            progress.update(task, completed=step, total=steps, loss=f"loss {loss:.3f}")

        variables = train.train(training, classes(subject), prepare, epochs=subject.epochs, seed=SEED, advance=advance)
    seconds = time.monotonic() - begun
    accuracy = train.accuracy(variables, explained, prepare)
    train.save(variables, folder / "checkpoint")
    done = {"settings": settings, "accuracy": accuracy, "seconds": seconds}
    record.write_text(json.dumps(done, indent=1), encoding="utf-8")  # last: it says that the checkpoint is whole
    console.print(f"Test accuracy {accuracy:.2%}, {subject.epochs} epochs in {seconds:.0f} s.")


def _jaxplain(*arguments: str) -> None:
    """The command line, in this process."""
    from jaxplain.cli.main import main as command_line

    code = command_line(list(arguments))
    if code:
        raise SystemExit(code)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _heading(console: Console, stage: str) -> None:
    console.rule(f"{STAGES.index(stage) + 1}/{len(STAGES)} {stage}", align="left")


if __name__ == "__main__":
    sys.exit(main())
