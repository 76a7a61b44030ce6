"""``jaxplain peppr``: erase and restore pixels in the order of the global maps."""

import argparse
from typing import Any

from jaxplain.cli.options import part_of, set_option, trust_option, worker_options
from jaxplain.cli.streams import Streams

HELP = "test the global maps: erase and restore pixels in their order"
DESCRIPTION = """\
Test the global maps of a finished run: erase and restore pixels in the order of each map, the same pixels in every
image, and measure how well the network still does. Controls that know no model (random orders, distance from the
center, energy of the mean image) are always swept as well. A sweep that was killed goes on where it was. Several
workers share a sweep with --worker, as they do a run; the one that finds everything swept measures the curves."""
EXAMPLES = """\
  jaxplain peppr job.toml
  jaxplain peppr job.toml --set peppr.images=2000 --set 'peppr.groups=["overall/macro"]'
  jaxplain peppr runs/store --trust    by the store, which names code"""

MAX_ORDERS = 12


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("job", metavar="JOB.toml|DIR", help="the job file, or a trusted store")
    set_option(parser)
    trust_option(parser)
    worker_options(parser)


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Sweep and write the table of areas."""
    from jaxplain.cli.failures import DONE, INCOMPLETE
    from jaxplain.cli.plain import plain
    from jaxplain.cli.progress import watching
    from jaxplain.cli.signals import stopping

    with stopping(arguments.grace) as stop, watching(streams.progress) as watch:
        from jaxplain.cli.origin import job_of
        from jaxplain.cli.sweeping import sweep_job

        part = part_of(arguments, stop)
        file = job_of(arguments.job, arguments.set, trust=arguments.trust, command="peppr")
        swept = sweep_job(file, part=part, watch=watch)
    if not swept.results:
        what = "This worker's part is swept" if swept.done else "Not finished; the same command sweeps what is missing"
        streams.results.print(plain(f"{what}: {swept.remark}."), soft_wrap=True)
        return DONE if swept.done else INCOMPLETE
    for line in _table(swept.results):
        streams.results.print(plain(line), soft_wrap=True)
    streams.results.print(plain(f"The curves are in {swept.output}/peppr"), soft_wrap=True)
    streams.results.print(plain(f"Next: jaxplain report {swept.output}"), soft_wrap=True)
    return DONE


def _table(results: dict[str, Any]) -> list[str]:
    """Return the macro areas of AUC as lines: methods by gap, then the controls."""
    entries = [order for order in results.get("orders", []) if order.get("auc")]
    entries.sort(key=lambda order: -(order["auc"]["gap"]["macro"]["value"] or 0.0))
    shown = [order for order in entries if order["kind"] == "method"][:MAX_ORDERS]
    shown += [order for order in entries if order["kind"] == "control" and order["group"] != "random"]
    rows = [("order", "restore - erase", "interval", "erase", "restore", "95 % of the gain at")]
    for order in shown:
        auc = order["auc"]
        gap = auc["gap"]["macro"]
        areas = (auc[mode]["macro"]["area"]["value"] for mode in ("erase", "restore"))
        interval = "" if gap["low"] is None else f"{_number(gap['low'])} ... {_number(gap['high'])}"
        needed = auc["fraction_for_95"]["macro"]
        rows.append((order["name"], _number(gap["value"]), interval, *map(_number, areas), _percent(needed)))
    random = results.get("controls", {}).get("random", {}).get("auc")
    if random:
        spread = f"sd {_number(random['sd'])}"
        rows.append((f"{random['n']} random orders", _number(random["mean"]), spread, "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    hidden = sum(order["kind"] == "method" for order in entries) - MAX_ORDERS
    return lines + [f"and {hidden} more orders of global maps; all are in the report"] * (hidden > 0)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%} restored"
