"""What a run says at its end: what was done, what was left out, where everything is, and what to do next."""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from jaxplain.cli.bottleneck import REMEDY, SECONDS, SHARE
from jaxplain.cli.job import Summary
from jaxplain.cli.plain import plain
from jaxplain.cli.progress import duration
from jaxplain.cli.quarantine import Quarantined
from jaxplain.cli.units import title

MAX_LISTED = 20
LEAST_SECONDS = 0.05
"""Shorter stages are not worth a word."""


def show_summary(summary: Summary, console: Console, *, job_file: str) -> None:
    """Write the summary of a run.

    Args:
        summary: What ``run`` returned.
        console: Where to.
        job_file: The job file, for the commands that come next.
    """
    say = _sayer(console)
    methods = f"{len(summary.methods)} method{'s' if len(summary.methods) > 1 else ''}"
    if summary.images:
        say(
            f"Explained {summary.images:,} of {summary.total:,} images by {methods} in "
            f"{duration(summary.seconds)}: {summary.images_per_second:,.1f} images/s."
        )
        for line in usage(summary):
            say(line)
        if summary.waiting["input"] >= SHARE and summary.seconds >= SECONDS:
            say(f"Input is the bottleneck: {REMEDY}.", "yellow")
    elif summary.complete:
        say(f"Nothing to do: all {summary.total:,} images were explained by {methods} before.")
    show_quarantined(summary.quarantined, console)
    for shard, reason in summary.failed.items():
        say(f"Shard {shard} failed: {reason}", "red")
    if summary.remark:
        say(f"No global maps: {summary.remark}.")
    for number, lease in list(summary.held.items())[:MAX_LISTED]:
        say(f"Shard {number} is held by {lease.owner}.", "yellow")
    if len(summary.held) > MAX_LISTED:
        say(f"and {len(summary.held) - MAX_LISTED:,} more; `jaxplain status {summary.output}` lists them.")
    if not summary.done:
        what = "Stopped." if summary.stopped else "Not finished."
        say(f"{what} The same command does the missing shards: jaxplain run {job_file}", "red")
        return
    if not summary.complete:
        say("This worker's part is done; others have shards left, which `jaxplain run` with --steal takes over.")
        return
    what = "maps and global maps" if summary.aggregated else "maps"
    say(f"The {what} are in {summary.output}")
    if summary.aggregated:
        say(f"Next: jaxplain peppr {job_file}, then jaxplain report {summary.output}")


def usage(summary: Summary) -> list[str]:
    """Return lines about where the time and the memory went."""
    shares = summary.waiting
    own = max(0.0, 1 - sum(shares.values()))
    waits = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    lines = [f"Time waiting for {waits}; own work {own:.0%}."]
    spent = {title(name): seconds for name, seconds in summary.stages.items() if seconds >= LEAST_SECONDS}
    if spent:
        lines.append("Stages: " + ", ".join(f"{name} {duration(seconds)}" for name, seconds in spent.items()) + ".")
    memory = f"Peak memory {summary.peak_bytes / 1e9:.1f} GB"
    if summary.device_peak_bytes is not None:
        memory += f", on the device {summary.device_peak_bytes / 1e9:.1f} GB"
    if summary.operations_per_second is not None:
        rate = f"{summary.operations_per_second / 1e9:,.1f} GFLOP/s"
        if summary.utilization is not None:
            rate += f", {summary.utilization:.0%} of a matrix product's"
        memory += f"; {rate}" if summary.operations_whole else f"; at least {rate}"
    return [*lines, f"{memory}."]


def show_quarantined(images: tuple[Quarantined, ...], console: Console, *, all_of_them: bool = False) -> None:
    """List the images that were left out: the first, or all of them."""
    if not images:
        return
    say = _sayer(console)
    count = "1 image was" if len(images) == 1 else f"{len(images):,} images were"
    say(f"{count} left out: NaN maps, no part in global maps.", "yellow")
    listed = images if all_of_them else images[:MAX_LISTED]
    for image in listed:
        say(f"  {image.name}: {image.reason}")
    if len(images) > len(listed):
        say(f"  and {len(images) - len(listed):,} more; `jaxplain status` lists them with --all")


def _sayer(console: Console) -> Callable[..., None]:
    def say(text: str, style: str = "") -> None:
        console.print(Text(plain(text), style), soft_wrap=True)

    return say
