"""Get Fashion-MNIST: 70,000 aligned 28x28 images of ten kinds of clothing, MIT license.

In this order: a given path; the local cache; Debian's package `dataset-fashion-mnist`; the publisher's own address.
Everything is checked against SHA-256 sums before it is used.
Run alone, it prints where the data are: ``python -m examples.fashion_mnist.fetch [PATH]``.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from examples.fashion_mnist import debian, publisher
from examples.fashion_mnist.files import SHA256, cache_folder, faults


@dataclass(frozen=True)
class Found:
    """A folder with the four files, and in words where they came from."""

    folder: Path
    origin: str


class GivenPathError(ValueError):
    """The path that the user gave does not hold the data."""


def fetch(
    given: Path | None = None,
    *,
    cache: Path | None = None,
    installed: Path = debian.INSTALLED,
    address: str = publisher.ADDRESS,
    root: bool | None = None,
    sums: dict[str, str] | None = None,
    console: Console | None = None,
) -> Found | None:
    """Find the data or bring them here.

    Args:
        given: A folder named by the user; nothing else is tried when it is passed.
        cache: The local cache; the user's own by default.
        installed: Where Debian's package puts its files.
        address: The publisher's address.
        root: Whether packages can be installed; asked of the system by default.
        sums: SHA-256 sums by file name; the published ones by default.
        console: Where progress is shown.

    Returns:
        The data's folder, or None where no origin can be reached.

    Raises:
        GivenPathError: The given folder lacks a file or holds a damaged one.
    """
    console = console or Console()
    cache = cache or cache_folder()
    sums = SHA256 if sums is None else sums
    root = os.geteuid() == 0 if root is None else root
    if given is not None:
        wrong = faults(given, sums)
        if wrong:
            raise GivenPathError("; ".join(wrong) + f"; pass a folder with {', '.join(sums)}, plain or as .gz.")
        return Found(given, "the given path")
    present = _checked(cache, "the local cache", sums) or _checked(installed, "Debian's package, from before", sums)
    if present:
        return present
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        return _from_debian(cache, installed, root, sums, progress) or _from_publisher(cache, address, sums, progress)


def _checked(folder: Path, origin: str, sums: dict[str, str]) -> Found | None:
    return Found(folder, origin) if folder.is_dir() and not faults(folder, sums) else None


def _from_debian(cache: Path, installed: Path, root: bool, sums: dict[str, str], progress: Progress) -> Found | None:
    if not debian.available():
        return None
    task = progress.add_task("Debian's package", total=None)

    def say(what: str) -> None:
        progress.update(task, description=escape(what))

    failure = debian.install(say) if root else debian.unpack(cache, say)
    progress.remove_task(task)
    if failure:
        progress.console.print(f"Debian's package cannot be had: {failure}", markup=False)
        return None
    return _checked(installed if root else cache, "Debian's package", sums)


def _from_publisher(cache: Path, address: str, sums: dict[str, str], progress: Progress) -> Found | None:
    for name, want in sums.items():
        if not faults(cache, {name: want}):
            continue
        task = progress.add_task(name, total=None)

        def advance(name: str, here: int, total: int, task=task) -> None:
            progress.update(task, completed=here, total=total or None)

        try:
            publisher.download(name, want, cache, advance, address)
        except OSError as error:
            progress.console.print(f"The publisher's files cannot be had: {error}", markup=False)
            return None
    return _checked(cache, "the publisher", sums)


def main(arguments: list[str]) -> int:
    """Print where the data are; 1 where they cannot be had, 2 where the given path is wrong."""
    console = Console()
    try:
        found = fetch(Path(arguments[0]) if arguments else None, console=console)
    except GivenPathError as error:
        console.print(str(error), markup=False, highlight=False)
        return 2
    if found is None:
        return 1
    console.print(f"{found.folder} (from {found.origin})", markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
