"""``jaxplain layers``: the names that a layer of the job's network can have."""

import argparse

from jaxplain.cli.options import job_argument
from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams

HELP = "list the layers of a job's network, by the names that methods take"
DESCRIPTION = """\
List the layers of a job's network in the order of evaluation: the name that `layer = ...` takes, the operations, and
the shape of the output for one image. Layers with two spatial axes suit Grad-CAM."""
EXAMPLES = """\
  jaxplain layers job.toml"""


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
    from jaxplain.graph.layers import layers

    file = load_job(arguments.job, arguments.set)
    source = open_images(file)
    model, _ = network_of(file, source)
    table = layers(model, jax.ShapeDtypeStruct(source.shape, np.float32))
    source.close()
    rows = [("layer", "operations", "shape")] + [
        (plain(layer.path), layer.operation, "x".join(map(str, layer.shape)) or "scalar") for layer in table
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        streams.results.print("  ".join(cells).rstrip(), soft_wrap=True)
    return 0
