"""``jaxplain finalize``: make the global maps of a store, or make them in another way."""

import argparse
from typing import get_args

from jaxplain.cli.streams import Streams

HELP = "make the global maps of a finished store, in any way"
DESCRIPTION = """\
Make the global maps of a finished store from its stored maps: per label, per prediction and overall. `jaxplain run`
does so at its end; use this for another sign, pooling, scale or selection. Nothing of the job is imported.
What is left out is taken from the store's last global maps.

With --check every shard is read first and compared with the digests in its marker; shards that disagree are declared
unfinished, exit code 75 says so, and the command that redoes them is named. No worker may be writing meanwhile."""
EXAMPLES = """\
  jaxplain finalize runs/store --sign positive --scale dataset_p99
  jaxplain finalize runs/store --check
  jaxplain finalize runs/store --method smoothgrad --select true_and_predicted"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from jaxplain.aggregate.groups import Select
    from jaxplain.core.maps import Pool, Scale, Sign

    parser.add_argument("store", metavar="DIR", help="path or address of the store")
    parser.add_argument(
        "--method", action="append", metavar="NAME", help="only this method; may be given several times"
    )
    parser.add_argument("--check", action="store_true", help="compare every shard with its digests first")
    parser.add_argument("--sign", choices=get_args(Sign), help="which part of a map counts")
    parser.add_argument("--pool", choices=get_args(Pool), help="how channels become one")
    parser.add_argument("--scale", choices=get_args(Scale), help="what maps are divided by")
    parser.add_argument("--select", choices=get_args(Select), help="which images belong to a label")
    parser.add_argument(
        "--exclude", action="append", metavar="LABEL", help="a label, by name or number, to keep out of the macro map"
    )


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Compute and write the global maps."""
    from jaxplain._errors import InputError, unknown
    from jaxplain.cli.aggregation import aggregation_of
    from jaxplain.cli.checking import refuse_incomplete, show_faults
    from jaxplain.cli.globals import make_globals
    from jaxplain.cli.job import GLOBALS
    from jaxplain.cli.plain import plain
    from jaxplain.cli.progress import watching
    from jaxplain.core.maps import MapSteps
    from jaxplain.engine.assignment import Part, by_one
    from jaxplain.io.inspection import inspect
    from jaxplain.io.leases import Leases
    from jaxplain.io.store import open_store

    store = open_store(arguments.store)
    for name in arguments.method or ():
        if name not in store.names:
            raise unknown(arguments.store, "method", name, store.names)
    if not store.names:
        raise InputError(f"{arguments.store}: keeps no maps; its global maps are those that the run made.")
    if arguments.check and (faults := inspect(store.storage).faults):
        return show_faults(store.storage, faults, streams.results, mending=True)
    refuse_incomplete(store, arguments.method or store.names)

    def make() -> bool:
        for name in arguments.method or store.names:
            last = aggregation_of(store, name)
            steps = MapSteps(*(getattr(arguments, key) or last[key] for key in ("sign", "pool", "scale")))
            exclude = last["exclude"] if arguments.exclude is None else tuple(map(_label, arguments.exclude))
            select = arguments.select or last["select"]
            make_globals(store, [name], steps=steps, select=select, exclude=exclude, watch=watch)
        return True

    with watching(streams.progress) as watch:
        made, other = by_one(Part(leases=Leases(store.storage)), GLOBALS, make)
    if not made:
        raise InputError(f"{arguments.store}: {other} makes the global maps just now; try again when they are there.")
    if store.peppr() is not None:
        streams.results.print("The sweeps stem from the global maps before; `jaxplain peppr` makes them anew.")
    streams.results.print(plain(f"The global maps are in {store.storage.where('global')}"), soft_wrap=True)
    return 0


def _label(word: str) -> str | int:
    return int(word) if word.isdecimal() else word
