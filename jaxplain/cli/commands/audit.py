"""``jaxplain audit``: what is in the traced network, block by block, and the rule that a method gives each block."""

import argparse
from typing import Any

from jaxplain._errors import InputError
from jaxplain.cli.options import job_argument
from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams

HELP = "list every traced block of a job's network, and the rule it receives"
DESCRIPTION = """\
List every block of the job's network that depends on the image, in the order of evaluation, with the rule that it
receives when it is explained. Without --method every block keeps its own gradient. A block that reads NO RULE would be
refused by the method unless its job says unknown = "gradient"."""
EXAMPLES = """\
  jaxplain audit job.toml
  jaxplain audit job.toml --method guided_backprop
  jaxplain audit job.toml --method lrp --composite epsilon_plus"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    job_argument(parser)
    parser.add_argument("--method", metavar="NAME", help="a method that changes derivatives by rules")
    parser.add_argument("--composite", metavar="NAME", help="the composite, for methods that take one")


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
    blank = np.zeros(source.shape, np.float32)
    source.close()

    def f(x: jax.Array) -> Any:
        return output_of(model, x)

    rules, unknown = _rules(f, blank, arguments.method, arguments.composite)
    for line in str(audit(f, blank, rules, unknown=unknown)).split("\n"):
        streams.results.print(plain(line), soft_wrap=True)
    return 0


def _rules(f: Any, x: Any, name: str | None, composite: str | None) -> tuple[Any, Any]:
    """Return a method's rules, and what happens to a block that has none."""
    if name is None:
        if composite is not None:
            raise InputError("jaxplain audit: --composite needs --method; write --method lrp.")
        return (), "gradient"
    import jaxplain.methods  # noqa: F401  (fills the registry)
    from jaxplain._registry import METHODS, find_method

    entry = find_method(name)
    if "rules" not in entry.notes:
        known = ", ".join(sorted(name for name in METHODS if "rules" in METHODS[name].notes))
        raise InputError(f"jaxplain audit: {name} keeps the gradient of every block; methods with rules are {known}.")
    given: dict[str, Any] = {}
    if "composite" in entry.context:
        if composite is None:
            raise InputError(f"jaxplain audit: {name} needs a composite; write --composite epsilon_plus.")
        given = {"composite": composite, "low": 0.0, "high": 1.0}  # the range decides no block's rule
    elif composite is not None:
        raise InputError(f"jaxplain audit: {name} takes no composite; leave --composite out.")
    return entry.notes["rules"](f, x, **given), "raise" if "unknown" in entry.knobs else "gradient"
