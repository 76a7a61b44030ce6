"""``jaxplain status``: what a store holds and what is missing."""

import argparse

from jaxplain.cli.streams import Streams

HELP = "show what a store holds: shards, images left out, global maps, sweeps"
DESCRIPTION = """\
Show what a store holds: finished shards per method, the images that were left out and why, global maps and sweeps;
and, while workers run, who works on what, and for how long by the heartbeats of each. Nothing of the job is
imported."""
EXAMPLES = """\
  jaxplain status runs/store
  jaxplain status runs/store --all     every image that was left out"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("store", metavar="DIR", help="path or address of the store")
    parser.add_argument("--all", action="store_true", help="list every image that was left out")


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write the tables."""
    from jaxplain.cli.closing import show_quarantined
    from jaxplain.cli.convergence import converged
    from jaxplain.cli.holders import show_holders
    from jaxplain.cli.plain import plain
    from jaxplain.cli.quarantine import quarantined
    from jaxplain.io.store import ROWS, open_store

    store = open_store(arguments.store)
    manifest, plan = store.manifest, store.manifest.get("plan", {})
    images = int(manifest.get("images", 0))
    shards = -(-images // int(plan.get("rows_per_shard") or images or 1))

    def say(text: str) -> None:
        streams.results.print(plain(text), soft_wrap=True)

    say(
        f"{images:,} images in {shards:,} shards, begun {manifest.get('created', '?')} on {manifest.get('device', '?')}"
    )
    names = list(dict.fromkeys([ROWS, *manifest.get("methods", {}), *store.names]))
    width = max(len(name) for name in names)
    for name in names:
        done = len(store.finished(name))
        made = name != ROWS and name in store.names and store.has_globals(name)
        state = "finished" if done >= shards else "not finished"
        globals_made = ", global maps" if made else ""
        say(f"  {name:<{width}}  {done:>5,}/{shards:,} shards  {state}{globals_made}{converged(store, name)}")
    results = store.peppr()
    sweeps = len(store.finished("peppr"))
    state = "results are there" if results is not None else f"begun, {sweeps} shards" if sweeps else "not yet"
    say(f"  {'peppr':<{width}}        {state}")
    show_holders(store, say)
    left_out = quarantined(store)
    show_quarantined(left_out, streams.results, all_of_them=arguments.all)
    if not left_out:
        say("No image was left out.")
    return 0
