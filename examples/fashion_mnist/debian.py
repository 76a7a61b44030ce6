"""Debian's package of the data set: installed, installable, or unpacked into the cache."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
# A machine without a network must come to the next origin soon; another apt at work is waited for a little.
PATIENCE = ("-o", "Acquire::http::Timeout=15", "-o", "Acquire::Retries=1", "-o", "DPkg::Lock::Timeout=30")
LIMIT_SECONDS = 300.0

Say = Callable[[str], None]


def _run(command: Sequence[str], folder: Path | None = None) -> str | None:
    """Run a command; return None where it succeeds, else its last words."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT_SECONDS:g} s"
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def _apt(*arguments: str, folder: Path | None = None) -> str | None:
    return _run(("apt-get", *PATIENCE, *arguments), folder)


def install(say: Say) -> str | None:
    """Install the package, as root, with new package lists where they are missing. Returns the failure, if any."""
    command = ("install", "--yes", "--no-install-recommends", PACKAGE)
    say(f"apt-get install {PACKAGE}")
    if _apt(*command) is None:
        return None
    say("apt-get update")
    return _apt("update") or _apt(*command)


def unpack(cache: Path, say: Say) -> str | None:
    """Download the package and copy its files into the cache, without root. Returns the failure, if any."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="package-") as name:
        folder = Path(name)
        say(f"apt-get download {PACKAGE}")
        failure = _apt("download", PACKAGE, folder=folder)
        if failure:
            return failure
        package = next(folder.glob("*.deb"), None)
        if package is None:
            return "apt-get download left no package"
        say("dpkg-deb --extract")
        failure = _run(("dpkg-deb", "--extract", str(package), str(folder / "content")))
        if failure:
            return failure
        for file in (folder / "content" / INSTALLED.relative_to("/")).glob("*-ubyte.gz"):
            os.replace(file, cache / file.name)
    return None


def available() -> bool:
    """Whether this machine has Debian's package tools."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None
