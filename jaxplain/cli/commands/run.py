"""``jaxplain run``: explain every image of a job."""

import argparse

from jaxplain.cli.options import job_argument, log_option, part_of, worker_options
from jaxplain.cli.streams import Streams

HELP = "explain every image of a job, and make the global maps"
DESCRIPTION = """\
Explain every image of a job's source and write the maps into the job's output; when all are done, make the
global maps. A run that was killed goes on where it was with the same command.

Several workers share a job with --worker, on one machine or many: each does its own range of shards, and with --steal
also what others have left. They need no coordinator: a lease per shard tells who works on it, and the one that finds
everything done makes the global maps. Under --distributed they are the processes of one SPMD job.

Exit code 0 says that this worker's range is done (with --steal: everything), 75 that the same command has something
left to do: it was stopped, shards could not be read, or others still hold them."""
EXAMPLES = """\
  jaxplain run job.toml
  jaxplain run job.toml --set output=runs/b --set methods.smoothgrad.n_samples=64
  jaxplain run job.toml --set source.limit=100     try it on the first hundred images
  jaxplain run job.toml --worker 2/4               the second of four workers
  srun -n 64 jaxplain run job.toml --worker auto --steal
  srun -n 64 jaxplain run job.toml --distributed   the same as one SPMD job, which ends when a process dies
  jaxplain run job.toml --log json 2>events.jsonl  events for programs, one JSON object per line
  jaxplain run job.toml --profile trace            what the device does, for https://ui.perfetto.dev
  jaxplain run job.toml --set run.compile_cache=off    keep no compiled programs in your cache folder"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    job_argument(parser)
    worker_options(parser)
    parser.add_argument(
        "--distributed",
        nargs="?",
        const="auto",
        metavar="HOST:PORT",
        help="be a process of an SPMD job under jax.distributed, which asks the launcher, or is told the address of "
        "the first process and --worker I/N; all wait for each other before the first makes the global maps",
    )
    log_option(parser)
    parser.add_argument(
        "--profile", metavar="DIR", help="write a trace of a few batches after the first ones, by JAX's profiler"
    )
    parser.add_argument(
        "--replan", action="store_true", help="go on although the store was begun on another kind of device"
    )


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Run the job."""
    from jaxplain.cli.failures import DONE, INCOMPLETE
    from jaxplain.cli.progress import watching
    from jaxplain.cli.signals import stopping
    from jaxplain.cli.spmd import connected

    # Connected first: JAX's service handles SIGTERM as well, and the last to ask for a signal gets it.
    with (
        connected(arguments.distributed, arguments.worker) as processes,
        stopping(arguments.grace) as stop,
        watching(streams.progress, arguments.log) as watch,
    ):
        from jaxplain.cli.closing import show_summary
        from jaxplain.cli.eventlog import EventLog
        from jaxplain.cli.job import figures, run_job
        from jaxplain.cli.jobfile import load_job
        from jaxplain.cli.profiling import profiled

        part, file = part_of(arguments, stop, processes), load_job(arguments.job, arguments.set)
        with profiled(arguments.profile, watch) as watch:
            summary = run_job(file, replan=arguments.replan, part=part, watch=watch)
    if arguments.log == "json":
        ends = {"output": summary.output, "complete": summary.complete, "done": summary.done, "failed": summary.failed}
        EventLog(streams.progress.file).write("summary", ends | figures(summary))
    show_summary(summary, streams.results, job_file=arguments.job)
    return DONE if summary.done else INCOMPLETE
