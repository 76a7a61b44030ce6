"""``jaxplain kernels``: which form of each hot operation serves on this device, and why."""

import argparse
import itertools
from typing import Any

from jaxplain.cli.streams import Streams

HELP = "show which form of each hot operation serves on this device, and why"
DESCRIPTION = """\
Show, for typical cases of every operation that has several forms, the form that is taken (marked *), with the figure
that it is taken for, and why the others are not."""
EXAMPLES = """\
  jaxplain kernels
  jaxplain kernels --platform cuda   what would be taken on another kind of device"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    platforms = ("cpu", "cuda", "rocm", "tpu")
    parser.add_argument("--platform", choices=platforms, help="the kind of device; the present one by default")


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write one line per form, cases of one operation together."""
    import jax

    from jaxplain.core.ops import kernel_choices

    present = dict.fromkeys((jax.default_backend(), jax.devices()[0].device_kind))
    streams.results.print(arguments.platform or ": ".join(present), soft_wrap=True)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for (op, case), rows in itertools.groupby(kernel_choices(arguments.platform), lambda row: (row.op, row.case)):
        groups.setdefault((op, *((row.form, row.chosen, row.reason) for row in rows)), []).append(case)
    width = max(len(form) for _, *forms in groups for form, _, _ in forms)
    for (op, *forms), cases in groups.items():
        streams.results.print(f"\n{op}: {'; '.join(cases)}", soft_wrap=True)
        for form, chosen, reason in forms:
            streams.results.print(f"  {'*' if chosen else ' '} {form:<{width}}  {reason}", soft_wrap=True)
    return 0
