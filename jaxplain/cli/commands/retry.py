"""``jaxplain retry``: redo the shards that hold images which were left out."""

import argparse

from jaxplain.cli.options import set_option, trust_option
from jaxplain.cli.streams import Streams

HELP = "redo the shards with images that were left out"
DESCRIPTION = """\
Redo the shards with images that were left out, after their cause was mended. The rest is not touched; the global maps
are made again. After files were mended, index the folder again: files that were left out may have changed,
no others. Sweeps have to be made again as well."""
EXAMPLES = """\
  jaxplain index photos && jaxplain retry job.toml
  jaxplain retry runs/store --trust    the same by the store, which names code"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("job", metavar="JOB.toml|DIR", help="the job file, or a trusted store")
    set_option(parser)
    trust_option(parser)


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Unmark the shards, then run the job."""
    from jaxplain.cli.failures import DONE, INCOMPLETE
    from jaxplain.cli.progress import watching
    from jaxplain.cli.signals import stopping
    from jaxplain.engine.stop import GRACE

    with stopping(GRACE) as stop, watching(streams.progress) as watch:
        from jaxplain.cli.closing import show_summary
        from jaxplain.cli.origin import job_of
        from jaxplain.cli.retrying import retry_job

        file = job_of(arguments.job, arguments.set, trust=arguments.trust, command="retry")
        summary, shards = retry_job(file, stop=stop, watch=watch)
    if shards:
        streams.results.print(f"Redone: {len(shards):,} shard{'s' if len(shards) > 1 else ''} with images left out.")
    else:
        streams.results.print("No image was left out, so nothing was redone.")
    show_summary(summary, streams.results, job_file=arguments.job)
    return DONE if summary.done else INCOMPLETE
