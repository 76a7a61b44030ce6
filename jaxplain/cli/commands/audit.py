"""``jaxplain audit``: what is in the traced network, block by block."""

import argparse

from jaxplain.cli.options import job_argument
from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams

HELP = "list every traced block of a job's network, and the rule it receives"
DESCRIPTION = """\
List every block of the job's network that depends on the image, in the order of evaluation, with the rule that it
receives when it is explained."""
EXAMPLES = """\
  jaxplain audit job.toml"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    job_argument(parser)


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Trace the network and write the table."""
    import jax
    import numpy as np

    from jaxplain.cli.build import network_of
    from jaxplain.cli.images import open_images
    from jaxplain.cli.jobfile import load_job
    from jaxplain.core.score import output_of
    from jaxplain.graph.audit import audit

    file = load_job(arguments.job, arguments.set)
    source = open_images(file)
    model, _ = network_of(file, source)
    found = audit(lambda x: output_of(model, x), jax.ShapeDtypeStruct(source.shape, np.float32))
    source.close()
    for line in str(found).split("\n"):
        streams.results.print(plain(line), soft_wrap=True)
    return 0
