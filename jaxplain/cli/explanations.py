"""The methods of a job as the engine takes them: knobs checked, baselines made, and both as JSON values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain._registry import Entry, find_method
from jaxplain.cli.backgrounds import read_background
from jaxplain.cli.baselines import read_baseline
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.nodes import read_nodes
from jaxplain.cli.sections import MethodSection
from jaxplain.cli.segmentations import read_segmentations
from jaxplain.cli.segments import read_segments
from jaxplain.engine.job import Explanation
from jaxplain.engine.rounds import round_keywords
from jaxplain.io.sources.base import Source


def build_explanations(sections: Iterable[MethodSection], source: Source, file: JobFile) -> tuple[Explanation, ...]:
    """Make the explanations of a job.

    Args:
        sections: The job's ``[methods.<name>]``.
        source: The images.
        file: The job file.

    Raises:
        InputError: An unknown or missing keyword, or a value out of range; the table is named.
    """
    return tuple(_explanation(section, source, file) for section in sections)


def _explanation(section: MethodSection, source: Source, file: JobFile) -> Explanation:
    entry, table = find_method(section.method), f"{file.where}: [methods.{section.name}]"
    shape, folder = source.shape, file.folder
    keywords, spec = dict(section.keywords), dict[str, Any]()
    if "key" in keywords:
        raise InputError(f"{table} key: noise is keyed by the seed of the job; set seed at the top of the file.")
    if "baseline" in keywords and "baseline" in entry.context:
        keywords["baseline"], spec["baseline"] = read_baseline(keywords["baseline"], shape, folder, f"{table} baseline")
    if "background" in keywords and "background" in entry.context:
        given, place = keywords["background"], f"{table} background"
        keywords["background"], spec["background"] = read_background(given, shape, file, place)
    for name in set(keywords) & {*_SEGMENTS} & set(entry.context):
        keywords[name], spec[name] = _SEGMENTS[name](keywords[name], shape, len(source), folder, f"{table} {name}")
    if "nodes" in keywords and "nodes" in entry.context:
        keywords["nodes"], spec["nodes"] = read_nodes(keywords["nodes"], folder, f"{table} nodes")
        n_nodes = len(keywords["nodes"].positions)
        if keywords.setdefault("n_steps", n_nodes) != n_nodes:
            raise InputError(f"{table} n_steps = {keywords['n_steps']}, but nodes holds {n_nodes}; leave n_steps out.")
    for name, knob in entry.knobs.items():
        # TOML has no word for nothing.
        if keywords.get(name) == "none" and (knob.default is None or None in knob.choices):
            keywords[name] = None
    try:
        if section.stopping is not None:
            keywords = round_keywords(entry, keywords)
            spec |= asdict(section.stopping)
        knobs = entry.check_knobs(keywords)
        entry.check_context(keywords, later=("key",))
    except InputError as error:
        raise InputError(f"{table} {_for_files(entry, error)}") from error
    for name in entry.context:
        if name in entry.optional and keywords.get(name) is None:
            continue
        if name == "layer":
            keywords[name] = _layer(keywords[name], table)
        if name != "key" and name not in spec:
            spec[name] = _json(keywords[name])
    settings = {
        name: _json(knobs.get(name, knob.default)) for name, knob in entry.knobs.items() if knob.kind != "execution"
    }
    spec = {"method": section.method, **spec, **settings}
    return Explanation(section.name, section.method, keywords, spec, section.stopping)


def _for_files(entry: Entry, error: InputError) -> str:
    """Say in the words of a job file what the registry says in the words of Python."""
    for name, advice in _ADVICE.items():
        if name in entry.context and f"{name}= is required" in str(error):
            return f"{entry.name}: {name} is missing and has no default; {advice}"
    return str(error)


_SEGMENTS: dict[str, Callable[..., Any]] = {"segments": read_segments, "segmentations": read_segmentations}
_ADVICE = {
    "baseline": 'write a number, one per channel, "channel-mean", "blur", "noise", "noisy-linear" or a .npy file.',
    "background": 'write the path of a .npy file of images, or {url = "npz://others.npz", limit = 50}.',
    "layer": "write a name that `jaxplain layers` lists for this job.",
    "composite": 'write the name of a composite, such as "epsilon_plus".',
    "segments": "write {grid = [8, 8]}, the path of a .npy file of whole numbers, or "
    "{slic = {n_segments = 50}, most = 64}.",
    "segmentations": "write {grids = [[4, 4], [8, 8]]}, the path of a .npy file of whole numbers, or "
    "{felzenszwalb = {scales = [50, 150]}, most = 200}.",
}


def _layer(value: Any, table: str) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise InputError(f"{table} layer = {value!r}; write a name that `jaxplain layers` lists, or a list of them.")


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    if isinstance(value, np.ndarray):
        # The shortest decimal of a float32 rather than its double, so that 0.1 stays 0.1.
        return [_json(entry) for entry in value] if value.ndim else float(str(value))
    return value if isinstance(value, bool | int | float | str | None) else str(value)
