"""The compile cache of a job: what an earlier job compiled is read, not compiled again.

JAX's persistent cache does the work, in a folder of the user's, with a folder in it for every jaxlib and every kind of
processor or accelerator, since machine code fits no other. It is switched on while a job takes, by the command line and
by ``jaxplain.run`` alone; where the user has set up JAX's cache, or has forbidden it, nothing is touched.

JAX believes what it finds in the folder. A checksum beside each entry, written when a stage of a job ends, tells whole
entries from what a killed process or a bad disk has left; entries without a valid one are deleted before JAX looks.
"""

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jaxlib

from jaxplain._compat import forget_compile_cache
from jaxplain._errors import InputError
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.paths import resolved
from jaxplain.cli.units import OPENING
from jaxplain.engine.events import Event, Finished, Noted, Watcher

LEAST_SECONDS = 0.1
"""Programs that compile faster are not kept: the many small ones of a job would be files of their own."""
MOST_BYTES = 1 << 30
_ENTRY, _SUM = "-cache", "-sum"
_CPU_FACTS = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU part", "Features")


@contextmanager
def compile_cache(file: JobFile, watch: Watcher) -> Iterator[Watcher]:
    """Keep what is compiled inside the block, and read what was kept before, as ``run.compile_cache`` says.

    Args:
        file: The job.
        watch: Told where the user's own cache folder cannot be used, which stops nothing.

    Yields:
        What is to be called with the events of the job.

    Raises:
        InputError: A folder that the job names cannot be used.
    """
    place = _place(file, watch)
    if place is None:
        yield watch
        return

    def sealing(event: Event) -> None:
        if isinstance(event, Finished):
            _seal(place)
        watch(event)

    _tidy(place)
    with _settings(place), warnings.catch_warnings():
        # A folder that fails later costs compilation, nothing else.
        warnings.filterwarnings("ignore", message=".*persistent compilation cache")
        try:
            yield sealing
        finally:
            _seal(place)


def _place(file: JobFile, watch: Watcher) -> Path | None:
    """Return the folder for this machine's programs, or None where nothing is to be kept."""
    wanted = file.run.compile_cache
    theirs = _setting("jax_compilation_cache_dir") is not None or not _setting("jax_enable_compilation_cache")
    if wanted == "off" or theirs:
        return None
    try:
        return _opened(user_folder() if wanted == "auto" else Path(resolved(file.folder, wanted)))
    except (OSError, RuntimeError) as error:
        remedy = 'set run.compile_cache to a folder of your own, or to "off"'
        if wanted != "auto":
            raise InputError(f"{file.where}: run.compile_cache = {wanted!r}: {error}; {remedy}.") from error
        watch(Noted(OPENING, f"programs are compiled without a cache: {error}; {remedy}"))
        return None


def user_folder() -> Path:
    """Return the folder for what jaxplain may always make again.

    Raises:
        RuntimeError: The user has no home folder.
    """
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        home = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return home / "jaxplain" / "compiled"


def machine() -> str:
    """Return a name for all that machine code depends on: jaxlib, the kind of device, its driver, the processor."""
    device = jax.devices()[0]
    facts = [jax.__version__, jaxlib.__version__, device.platform, device.device_kind, device.client.platform_version]
    facts += [platform.machine(), platform.processor(), *_cpu_facts()]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return f"jaxlib-{jaxlib.__version__}-{device.platform}-{digest}"


def _cpu_facts() -> list[str]:
    """Return the lines of Linux's description of the first processor that tell its instructions."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return []
    return [line for line in first.splitlines() if line.partition(":")[0].strip() in _CPU_FACTS]


def _opened(folder: Path) -> Path:
    """Make the folder of this machine, for this user alone, and try to write into it.

    Raises:
        OSError: That fails, or anybody may write there, who could then run code in a job.
    """
    place = folder / machine()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and place.stat().st_mode & 0o002:
        raise PermissionError(f"{place} can be written by everybody")
    with tempfile.TemporaryFile(dir=place):
        return place


@contextmanager
def _settings(place: Path) -> Iterator[None]:
    ours = {"jax_compilation_cache_dir": str(place), "jax_persistent_cache_min_compile_time_secs": LEAST_SECONDS}
    before = {name: _setting(name) for name in ours}
    try:
        for name, value in ours.items():
            jax.config.update(name, value)
        forget_compile_cache()
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        forget_compile_cache()


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def _tidy(place: Path) -> None:
    """Delete entries that are not whole, and the oldest where there are too many."""
    total = 0
    for entry in sorted(_entries(place), key=_age):
        note = _sum_of(entry)
        try:
            total += entry.stat().st_size
            whole = note.exists() and note.read_text() == _digest(entry)
            if not whole or total > MOST_BYTES:
                entry.unlink(missing_ok=True)
                note.unlink(missing_ok=True)
        except OSError:
            continue  # another job was faster, or the file system fails, which JAX takes for a missing entry


def _seal(place: Path) -> None:
    """Write the checksum of every entry that has none."""
    for entry in _entries(place):
        note = _sum_of(entry)
        try:
            if not note.exists():
                note.write_text(_digest(entry))
        except OSError:
            continue


def _entries(place: Path) -> list[Path]:
    return list(place.glob(f"*{_ENTRY}"))


def _age(entry: Path) -> float:
    try:
        return -entry.stat().st_mtime
    except OSError:
        return 0.0


def _sum_of(entry: Path) -> Path:
    return entry.with_name(entry.name.removesuffix(_ENTRY) + _SUM)


def _digest(entry: Path) -> str:
    return hashlib.sha256(entry.read_bytes()).hexdigest()
