"""``jaxplain calibrate``: nodes of a path method that suit a job's network, from a few of its images."""

import argparse

from jaxplain.cli.options import job_argument
from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams

HELP = "find the nodes of integrated gradients that suit a job's network"
DESCRIPTION = """\
Measure the gradient along the path on a few images of a job, choose the nodes and weights that would have given their
maps with the smallest error, try them on other images, and write them to a file beside the job. All images of the job
then use them, if its method says nodes = "FILE"; other nodes compile nothing."""
EXAMPLES = """\
  jaxplain calibrate job.toml
  jaxplain calibrate job.toml --n-steps 8 --images 16
  jaxplain calibrate job.toml --method ig --to nodes/ig.json"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    job_argument(parser)
    parser.add_argument(
        "--method", metavar="NAME", help="a method of the job; the only one that takes nodes by default"
    )
    parser.add_argument("--n-steps", type=int, metavar="N", help="number of nodes; that of the job by default")
    parser.add_argument("--images", type=int, default=8, metavar="N", help="images to measure, and to check on; 8")
    parser.add_argument("--points", type=int, default=128, metavar="N", help="gradients measured per image; 128")
    parser.add_argument("--to", metavar="FILE", help="the file of nodes; NAME.nodes.json beside the job by default")


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Measure, choose, write the file and the table of errors."""
    import os
    from pathlib import Path

    from jaxplain.cli.calibration import calibrate_job
    from jaxplain.cli.jobfile import load_job
    from jaxplain.cli.nodes import write_nodes

    file = load_job(arguments.job, arguments.set)
    done = calibrate_job(
        file, arguments.method, n_steps=arguments.n_steps, n_images=arguments.images, n_points=arguments.points
    )
    n, errors = len(done.nodes.positions), {rule: float(f"{error:.4g}") for rule, error in done.errors.items()}
    path = Path(arguments.to) if arguments.to else file.folder / f"{done.method}.nodes.json"
    facts = {"measured": done.measured, "points": arguments.points, "checked": done.checked, "relative_errors": errors}
    write_nodes(path, done.nodes, facts)
    lines = [
        f"{n} nodes for {done.method}, chosen on {done.measured} images of {arguments.points} gradients each",
        f"relative error of the maps of {done.checked} other images, {n} gradients each:",
        *(f"  {rule:<15} {error:.4f}" for rule, error in done.errors.items()),
        f"The nodes: {path}",
        f'Next: write nodes = "{os.path.relpath(path, file.folder)}" in [methods.{done.method}]',
    ]
    for line in lines:
        streams.results.print(plain(line), soft_wrap=True)
    return 0
