"""Peak memory, of this process or of one of its own, and of the device where it tells."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxplain.engine.usage import device_peak_bytes, peak_bytes

__all__ = ["device_peak_bytes", "in_child", "peak_bytes", "report"]


def in_child(module: str, *words: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a module in a process of its own and return what it reported.

    Args:
        module: Called as ``python -m module *words``; it must end with ``report``.
        words: Its arguments.
        environment: Variables beside those of this process.

    Raises:
        RuntimeError: The process failed; the end of its errors is shown.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(found: Mapping[str, Any]) -> None:
    """Print what a child process found, as the last line of its output, with its peak memory."""
    print(json.dumps({**found, "peak bytes": peak_bytes(), "peak bytes, device": device_peak_bytes()}))
