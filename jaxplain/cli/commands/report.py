"""``jaxplain report``: one page with everything that a store holds."""

import argparse

from jaxplain.cli.streams import Streams

HELP = "write the HTML report of a store"
DESCRIPTION = """\
Write a self-contained HTML page on a store, and its figures as PNG files: example images with their maps, global maps,
the curves of the sweeps, and the facts of the run. The images are read from where the job said they are; nothing
of the job is imported. Without the images the examples show maps alone."""
EXAMPLES = """\
  jaxplain report runs/store
  jaxplain report runs/store --output page --examples 4"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("store", metavar="DIR", help="path or address of the store")
    parser.add_argument("--output", metavar="DIR", help="folder of the page; by default report/ inside the store")
    parser.add_argument("--examples", type=int, default=2, metavar="N", help="example images per label (default 2)")
    parser.add_argument("--trust", action="store_true", help="fetch the images from a network address that DIR names")
    parser.add_argument("--no-images", action="store_true", help="do not look for the images of the run")


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write the page."""
    from jaxplain._errors import InputError
    from jaxplain.cli.build import data_fingerprint
    from jaxplain.cli.images import open_images
    from jaxplain.cli.origin import stored_job
    from jaxplain.cli.plain import plain
    from jaxplain.io.store import open_store
    from jaxplain.plots.report import write_report

    store = open_store(arguments.store)
    source = None
    if not arguments.no_images:
        try:
            job = stored_job(store.storage, [])
            if not arguments.trust and job.source.url.startswith(("s3://", "gs://", "zarr://s3", "zarr://gs")):
                raise InputError(f"{job.source.url} is named by the store; pass --trust to fetch from there")
            source = open_images(job, index=False)
        except (InputError, OSError) as error:
            streams.progress.print(
                plain(f"The images are not at hand, so the page shows maps alone: {error}"), soft_wrap=True
            )
    if source is not None and data_fingerprint(source, store.storage) != store.manifest["job"]["data"]["fingerprint"]:
        streams.progress.print("The images have changed since the run, so the page shows maps alone.", soft_wrap=True)
        source = None
    where = write_report(store, source, arguments.output, examples=arguments.examples)
    streams.results.print(plain(f"The report: {where}"), soft_wrap=True)
    return 0
