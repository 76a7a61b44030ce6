"""Arguments that several commands have."""

import argparse
import os
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes seconds, which `--help` should not
    from jaxplain.cli.spmd import Processes
    from jaxplain.engine.assignment import Part
    from jaxplain.engine.stop import Stop


def job_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the job file and ``--set``."""
    parser.add_argument("job", metavar="JOB.toml", help="the job file; paths in it are relative to its folder")
    set_option(parser)


def set_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--set``."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a key of the job, such as plan.batch=64; may be given several times",
    )


def trust_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--trust``."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="allow a DIR to name the code of its network: that code is imported and run",
    )


def log_option(parser: argparse.ArgumentParser) -> None:
    """Declare in which form events are written to the error stream."""
    parser.add_argument(
        "--log",
        choices=("text", "json"),
        default="text",
        help="how to tell what goes on, on the error stream: for people, or one JSON object per line",
    )


def worker_options(parser: argparse.ArgumentParser) -> None:
    """Declare how a process takes part in work that several do."""
    from jaxplain.engine.stop import GRACE

    parser.add_argument(
        "--worker",
        metavar="I/N",
        help="be worker I of N, which does its own range of shards; auto: as SLURM, Kubernetes, Open MPI or a TPU "
        "pod says",
    )
    parser.add_argument(
        "--steal",
        action="store_true",
        help="go on to the shards of other workers, wait for those that they hold, and end when all are done",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=GRACE,
        metavar="SECONDS",
        help=f"after SIGTERM or SIGINT, finish a shard if it takes no longer than this; {GRACE:g} by default",
    )


def part_of(arguments: argparse.Namespace, stop: "Stop", processes: "Processes | None" = None) -> "Part":
    """Return how this process takes part.

    Args:
        arguments: The options of ``worker_options``.
        stop: A wish to end.
        processes: Those of an SPMD job, which decide which worker this is.

    Raises:
        InputError: There is no such worker.
    """
    from jaxplain.cli.rank import worker_of
    from jaxplain.engine.assignment import Part

    if processes is not None:
        return Part(processes.worker, arguments.steal, stop=stop, meet=partial(processes.meet, stop))
    return Part(worker_of(arguments.worker, os.environ), arguments.steal, stop=stop)
