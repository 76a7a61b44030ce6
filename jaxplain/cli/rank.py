"""Which worker this is: as the user says, or as the system says that has started it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jaxplain._errors import InputError
from jaxplain.engine.worker import Worker

AUTO = "auto"


@dataclass(frozen=True)
class Launcher:
    """What a system that starts workers tells each of them.

    Args:
        name: Its name.
        rank: Variable with the worker's number.
        count: Variable with the number of workers, or with their names, separated by commas.
        first: Variable with the smallest number, where that is not 0.
        step: Variable with the distance of two numbers, where that is not 1.
        within: Launcher of the workers that this one starts at once, whose numbers run inside its own.
        remedy: What to do where the count is missing.
    """

    name: str
    rank: str
    count: str
    first: str = ""
    step: str = ""
    within: "Launcher | None" = None
    remedy: str = "start it as usual"

    def worker(self, environ: Mapping[str, str]) -> Worker | None:
        """Return the worker, or None where not all variables are set."""
        if self.rank not in environ or self.count not in environ:
            return None
        number = _whole(environ, self.rank) - (_whole(environ, self.first) if self.first in environ else 0)
        step = _whole(environ, self.step) if self.step in environ else 1
        named = "," in environ[self.count] or not environ[self.count].strip().isdecimal()
        count = len(environ[self.count].split(",")) if named else _whole(environ, self.count)
        if step < 1 or number % step or not 0 <= number // step < count:
            raise InputError(
                f"--worker auto: {self.rank} = {environ[self.rank]} is no number of {count} workers; number them "
                "evenly, or say --worker i/n."
            )
        inner = self.within.worker(environ) if self.within is not None else None
        if inner is None:
            return Worker(number // step, count)
        return Worker(number // step * inner.count + inner.number, count * inner.count)


SRUN = Launcher("SLURM", "SLURM_PROCID", "SLURM_NTASKS", remedy="start it by srun --ntasks")
# Open MPI comes first: what it starts under SLURM or Kubernetes inherits the numbers of its own helpers. An array comes
# before its tasks: the batch script of an array has the number 0 as well.
LAUNCHERS = (
    Launcher("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    Launcher(
        "SLURM array", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
        within=SRUN, remedy="start it by sbatch --array",
    ),
    SRUN,
    Launcher(
        "Kubernetes indexed Job", "JOB_COMPLETION_INDEX", "JAXPLAIN_WORKERS",
        remedy="set it to the Job's completions, which Kubernetes does not tell",
    ),
    Launcher("Cloud TPU", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES"),
)  # fmt: skip


def worker_of(words: str | None, environ: Mapping[str, str]) -> Worker:
    """Return which worker this is.

    Args:
        words: ``i/n`` with i from 1 to n, ``auto`` to ask the environment, or None for the only one.
        environ: The environment.

    Raises:
        InputError: It cannot be read, there is no such worker, or the environment tells only half of it.

    Example:
        >>> print(worker_of("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "8"}))
        3/8
    """
    if words is None:
        return Worker()
    if words != AUTO:
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", words)
        if match is None:
            raise InputError(f"--worker: {words!r} is neither i/n, such as 2/4, nor auto.")
        return Worker(int(match[1]) - 1, int(match[2]))
    half = []
    for launcher in LAUNCHERS:
        if (worker := launcher.worker(environ)) is not None:
            return worker
        # The batch script of a SLURM job has a rank whether or not it has tasks.
        if launcher.rank in environ and launcher is not SRUN:
            half.append(launcher)
    if half:
        one = half[0]
        raise InputError(
            f"--worker auto: {one.name} has set {one.rank} = {environ[one.rank]}, but {one.count} is not set; "
            f"{one.remedy}, or say --worker i/n."
        )
    return Worker()


def _whole(environ: Mapping[str, str], name: str) -> int:
    text = environ[name].strip()
    if not text.isdecimal():
        raise InputError(f"--worker auto: {name} = {text!r} is no whole number; say --worker i/n.")
    return int(text)
