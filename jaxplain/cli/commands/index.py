"""``jaxplain index``: describe a folder of images, or of tar files of images, once."""

import argparse

from jaxplain.cli.plain import plain
from jaxplain.cli.streams import Streams

HELP = "index image files or tar shards (path, size, time, label, id)"
DESCRIPTION = """\
Index a folder of images: path, size, time, label and a stable 64-bit id of each. The first folder on an image's path
is its class. Of tar files of the WebDataset form (webdataset://DIR, or train-{0000..0099}.tar in quotes) it tells
where each image lies, so that nothing is extracted; their labels are what .cls or .json members say. The index is the
fingerprint of the images; make it again when they have changed. A run makes it where there is none."""
EXAMPLES = """\
  jaxplain index photos
  jaxplain index /read-only/photos --to photos-index.npz
  jaxplain index webdataset://shards
  jaxplain index 'shards/train-{0000..0099}.tar'"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="DIR", help="the folder of images, or tar files of them")
    parser.add_argument(
        "--to", metavar="FILE", help="keep the index in this file, not in DIR, and name it in source.index"
    )


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write the index beside the images."""
    from jaxplain.cli.images import keep_index

    path, index = keep_index(arguments.folder, arguments.to)
    names = index.class_names or ()
    unlabeled = int((index.label < 0).sum())
    streams.results.print(f"{len(index):,} images, {int(index.size.sum()) / 1e6:,.1f} MB, {len(names):,} classes")
    for number, name in enumerate(names[:50]):
        streams.results.print(f"  {number:>3} {int((index.label == number).sum()):>9,}  {plain(name)}", soft_wrap=True)
    if len(names) > 50:
        streams.results.print(f"  and {len(names) - 50:,} more classes")
    if unlabeled and names:
        streams.results.print(f"      {unlabeled:>9,}  without a class")
    streams.results.print(plain(f"The index: {path}"), soft_wrap=True)
    return 0
