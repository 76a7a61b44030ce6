"""``jaxplain run``: explain every image of a job."""

import argparse

from jaxplain.cli.options import job_argument
from jaxplain.cli.streams import Streams

HELP = "explain every image of a job, and make the global maps"
DESCRIPTION = """\
Explain every image of a job's source and write the maps into the job's output; when all are done, make the
global maps. A run that was killed goes on where it was with the same command. Exit code 75 says that some
shards could not be read or written and that the same command will try them again."""
EXAMPLES = """\
  jaxplain run job.toml
  jaxplain run job.toml --set output=runs/b --set methods.smoothgrad.n_samples=64
  jaxplain run job.toml --set source.limit=100     try it on the first hundred images
  jaxplain run job.toml --set run.compile_cache=off    keep no compiled programs in your cache folder"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    job_argument(parser)
    parser.add_argument(
        "--replan", action="store_true", help="go on although the store was begun on another kind of device"
    )


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Run the job."""
    from jaxplain.cli.failures import DONE, INCOMPLETE
    from jaxplain.cli.progress import watching

    with watching(streams.progress) as watch:
        from jaxplain.cli.closing import show_summary
        from jaxplain.cli.job import run

        summary = run(arguments.job, set=arguments.set, replan=arguments.replan, watch=watch)
    show_summary(summary, streams.results, job_file=arguments.job)
    return DONE if summary.complete else INCOMPLETE
