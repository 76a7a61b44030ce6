"""Arguments that several commands have."""

import argparse


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
