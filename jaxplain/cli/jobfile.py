"""The job file: TOML read into frozen dataclasses, defaults resolved, every key checked. Nothing is opened here."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain._errors import InputError
from jaxplain._registry import WRAPPERS, find_method
from jaxplain.cli.overrides import override
from jaxplain.cli.sections import (
    AggregateSection,
    LabelsSection,
    MethodSection,
    ModelSection,
    PepprSection,
    PlanSection,
    RunSection,
    SourceSection,
    TargetSection,
)
from jaxplain.cli.tables import check_keys, checked, read_table
from jaxplain.engine.rounds import Stopping
from jaxplain.io.input import Input

SECTIONS = {
    "model": ModelSection,
    "source": SourceSection,
    "input": Input,
    "labels": LabelsSection,
    "target": TargetSection,
    "aggregate": AggregateSection,
    "peppr": PepprSection,
    "plan": PlanSection,
    "run": RunSection,
}
STOPPING = {"tolerance": float, "budget": int}
VALUES = {"output": str, "seed": int, "max_bad": int, **STOPPING}
KEYS = (*SECTIONS, "methods", *VALUES)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_RESERVED = ("rows", "global", "peppr")


@dataclass(frozen=True)
class JobFile:
    """A job as its author wrote it, checked as far as text goes.

    Args:
        path: The job file.
        folder: Its folder, which relative paths start from.
        table: What was parsed, overrides included.
        output: Where the store goes, as written.
        model: The network.
        source: The images.
        input: What is done to pixels.
        labels: Labels and class names.
        target: What is explained.
        methods: The methods, in the order of the file.
        aggregate: How maps become global maps.
        peppr: The sweeps.
        plan: What is asked of the plan.
        run: How the job is worked on.
        seed: Seed of all noise.
        max_bad: Most images that may be quarantined; None for any number.
        tolerance: Relative error at which sampling stops, for the methods that can go on; None for fixed numbers.
        budget: Most evaluations of the network per image until then.
    """

    path: Path
    folder: Path
    table: Mapping[str, Any]
    output: str
    model: ModelSection
    source: SourceSection
    methods: tuple[MethodSection, ...]
    input: Input = field(default_factory=Input)
    labels: LabelsSection = field(default_factory=LabelsSection)
    target: TargetSection = field(default_factory=TargetSection)
    aggregate: AggregateSection = field(default_factory=AggregateSection)
    plan: PlanSection = field(default_factory=PlanSection)
    run: RunSection = field(default_factory=RunSection)
    peppr: PepprSection = field(default_factory=PepprSection)
    seed: int = 0
    max_bad: int | None = None
    tolerance: float | None = None
    budget: int | None = None

    @property
    def where(self) -> str:
        """The file's name for messages."""
        return self.path.name


def load_job(path: str | Path, changes: Iterable[str] = ()) -> JobFile:
    """Read a job file.

    Args:
        path: The TOML file.
        changes: Keys to set, as ``section.key=value``.

    Raises:
        InputError: No such file, no TOML, an unknown or missing key, a value that does not fit.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such job file; check the path.") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise InputError(f"{path}: not a job file; name a TOML file.") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}.") from error
    return read_job(override(table, changes), file)


def read_job(table: Mapping[str, Any], file: Path) -> JobFile:
    """Check a parsed job.

    Args:
        table: The job's keys.
        file: The job file, whose folder relative paths start from.

    Raises:
        InputError: An unknown or missing key, a value that does not fit.
    """
    where = file.name
    check_keys(table, KEYS, where, "")
    for name in ("model", "source", "methods", "output"):
        if name not in table:
            raise InputError(f"{where}: {name if name == 'output' else f'[{name}]'} is missing; {_MISSING[name]}")
    sections: dict[str, Any] = {
        name: read_table(cls, table[name], where, name) for name, cls in SECTIONS.items() if name in table
    }
    values = {name: checked(table[name], kind, where, name) for name, kind in VALUES.items() if name in table}
    if values.get("seed", 0) < 0 or values.get("max_bad", 0) < 0:
        raise InputError(f"{where}: seed and max_bad must not be negative.")
    folder = file.absolute().parent
    stopping = {name: values[name] for name in STOPPING if name in values}
    methods = _methods(table["methods"], where, stopping)
    return JobFile(file, folder, table, methods=methods, **sections, **values)


_MISSING = {
    "model": 'name the network: factory = "package.module:function".',
    "source": 'name the images: url = "npz://images.npz".',
    "methods": "add a table per method, such as [methods.gradient].",
    "output": "name the folder of the results.",
}


def _methods(tables: Any, where: str, stopping: Mapping[str, Any]) -> tuple[MethodSection, ...]:
    if not isinstance(tables, Mapping) or not tables:
        raise InputError(f"{where}: [methods] names no method; {_MISSING['methods']}")
    methods = tuple(_method(name, table, where, stopping) for name, table in tables.items())
    if stopping and not any(one.stopping for one in methods):
        raise InputError(
            f"{where}: no method of the job goes on until a tolerance is met; leave out tolerance and budget."
        )
    return methods


def _method(name: str, table: Any, where: str, stopping: Mapping[str, Any]) -> MethodSection:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise InputError(
            f"{where}: [methods.{name}] cannot name results; use letters, digits, '_', '.', '+' and '-', "
            f"and none of {', '.join(_RESERVED)}."
        )
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: [methods.{name}] must be a table of keys, got {table!r}.")
    keywords = dict(table)
    method = checked(keywords.pop("method", name), str, where, f"methods.{name}.method")
    method, keywords = _wrapped(method, keywords)
    try:
        entry = find_method(method)
    except InputError as error:
        hint = "" if "method" in table else ' Add method = "..." to give a method a name of your own.'
        raise InputError(f"{where}: [methods.{name}] {error}{hint}") from error
    given = {
        word: checked(keywords.pop(word), kind, where, f"methods.{name}.{word}")
        for word, kind in STOPPING.items()
        if word in keywords
    }
    both = {"tolerance": None, "budget": None, **stopping, **given}
    try:
        until = Stopping.of(**both) if given or entry.rounds is not None else None
    except InputError as error:
        raise InputError(f"{where}: [methods.{name}] {error}") from error
    return MethodSection(name, method, keywords, until)


def _wrapped(method: str, keywords: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the wrapped method, where there are tables of wrappers, and their keys as its knobs.

    The first table is the innermost wrapper; a name such as "smooth(lrp)" may say so instead.

    Example:
        >>> _wrapped("lrp", {"composite": "epsilon", "smooth": {"sigma": 0.1}})
        ('smooth(lrp)', {'composite': 'epsilon', 'smooth.sigma': 0.1})
    """
    flat: dict[str, Any] = {}
    for word, value in keywords.items():
        if word not in WRAPPERS or not isinstance(value, Mapping):
            flat[word] = value
            continue
        method = method if f"{word}(" in method else f"{word}({method})"
        flat |= {f"{word}.{name}": setting for name, setting in value.items()}
    return method, flat
