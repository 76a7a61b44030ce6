"""``jaxplain verify``: is a store what was written, and what its job computes?"""

import argparse
from typing import TYPE_CHECKING

from jaxplain.cli.options import set_option
from jaxplain.cli.streams import Streams

if TYPE_CHECKING:  # importing it takes seconds, which `--help` should not
    from jaxplain.engine.verify import Sampled

HELP = "find damaged files of a store; compute a sample of its maps again"
DESCRIPTION = """\
Read every finished shard of a store again and hold it against the checksums in its marker, and the manifest, the
markers and the descriptions of all arrays against their own. A flipped bit in any of them is named, with the command
that makes the shard anew. With a job file, a random sample of images is explained again as well, and the largest
difference of every method stands beside what the store's format rounds away.

A DIR names no code that would be run. While workers write, shards that they finish may be missed; mend only when none
does. Exit code 2 says that something is damaged, or differs on the device that made it; 75, after --mend, that the
damaged shards have to be made anew."""
EXAMPLES = """\
  jaxplain verify runs/store
  jaxplain verify runs/store --mend; jaxplain run job.toml
  jaxplain verify job.toml --rows 64 --seed 1      other images than the last time"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("store", metavar="DIR|JOB.toml", help="path or address of the store, or its job file")
    set_option(parser)
    parser.add_argument(
        "--rows", type=int, default=32, metavar="N", help="images that are explained again; 0 for none, 32 by default"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of their choice; 0 by default")
    parser.add_argument(
        "--mend", action="store_true", help="declare damaged shards unfinished, so that a run makes them anew"
    )


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Inspect the store, then the sample."""
    import os

    from jaxplain._errors import InputError
    from jaxplain.cli.checking import show_faults
    from jaxplain.cli.failures import DONE
    from jaxplain.cli.plain import plain
    from jaxplain.cli.progress import watching

    is_job = os.path.isfile(arguments.store) or arguments.store.endswith(".toml")
    if arguments.set and not is_job:
        raise InputError(f"verify: --set changes a job, and {arguments.store} is a store; name the job file instead.")
    if arguments.rows < 0 or arguments.seed < 0:
        raise InputError(f"verify: --rows {arguments.rows} --seed {arguments.seed} must not be negative.")
    with watching(streams.progress) as watch:
        from jaxplain.cli.jobfile import load_job
        from jaxplain.cli.paths import resolved_url
        from jaxplain.cli.verifying import inspect_store, verify_sample
        from jaxplain.io.storage import Storage

        file = load_job(arguments.store, arguments.set) if is_job else None
        storage = Storage.open(arguments.store if file is None else resolved_url(file.folder, file.output))
        found = inspect_store(storage, watch)
    if found.faults:
        return show_faults(storage, found.faults, streams.results, mending=arguments.mend)
    shards = f"{found.arrays:,} shards of arrays, {found.markers:,} markers and the manifest"
    streams.results.print(plain(f"Sound: {shards} of {storage.url} are what was written."), soft_wrap=True)
    if file is None or not arguments.rows:
        return DONE
    with watching(streams.progress) as watch:
        sampled = verify_sample(file, arguments.rows, seed=arguments.seed, watch=watch)
    return _show(sampled, streams)


def _show(sampled: "Sampled", streams: Streams) -> int:
    """Write the table of differences and return the exit code."""
    from jaxplain.cli.failures import BAD_INPUT, DONE
    from jaxplain.cli.plain import plain

    def say(text: str) -> None:
        streams.results.print(plain(text), soft_wrap=True)

    say(f"Explained {len(sampled.rows):,} images again. Largest differences, as shares of the map's largest value:")
    width = max(len(one.name) for one in sampled.agreements)
    for one in sampled.agreements:
        rounding = f", of which the store's format may take {one.rounding:.1e}" if one.rounding else ""
        say(f"  {one.name:<{width}}  {one.difference:.1e} in image {one.row}{rounding}")
    apart = [one.name for one in sampled.agreements if not one.agrees]
    if not apart:
        return DONE
    if not sampled.same_device:
        say(f"More than rounding: {', '.join(apart)}. The store was made on other devices, whose rounding differs.")
        return DONE
    say(
        f"More than rounding, on the device that made the store: {', '.join(apart)}. Has the code or a library changed?"
    )
    return BAD_INPUT
