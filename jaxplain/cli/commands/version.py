"""``jaxplain version``: versions of everything that decides a result."""

import argparse
import importlib.metadata
import platform

from jaxplain.cli.streams import Streams

HELP = "show the versions of jaxplain and of what it stands on"
DESCRIPTION = "Show the versions of jaxplain and of the packages that decide its results."
EXAMPLES = ""
PACKAGES = ("jaxplain", "jax", "jaxlib", "flax", "optax", "numpy", "tensorstore", "orbax-checkpoint", "pillow")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments."""


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write one line per package."""
    versions = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
    for name, version in versions.items():
        streams.results.print(f"{name:<17} {version}")
    return 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
