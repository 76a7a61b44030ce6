"""The report's figures as PNG files, for papers and slides: sheets of maps, of examples, and curves."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from jaxplain.plots.curves import curve_figure
from jaxplain.plots.grid import folded, map_grid
from jaxplain.plots.overlay import displayed, overlay
from jaxplain.plots.report.content import Example, GlobalMap, MethodMaps, ReportContent, Sweep
from jaxplain.plots.wording import readable, slug

_COLUMNS = 6
_PER_SHEET = 12


def report_figures(content: ReportContent) -> Iterator[tuple[str, Figure]]:
    """Yield file names and figures one by one, so that only one is in memory.

    Names hold numbers beside what others called a thing, so that two names never meet in one file.
    """
    for number, method in enumerate(content.methods):
        for kind, groups in (("labels", method.labels), ("overall", method.overall)):
            if groups:
                yield (
                    f"global-{number:02d}-{slug(method.name)}-{kind}.png",
                    _global_sheet(method, groups, kind, content),
                )
    shown = [example for _, group in content.examples for example in group]
    for sheet, start in enumerate(range(0, len(shown), _PER_SHEET)):
        if any(example.maps or example.image is not None for example in shown[start : start + _PER_SHEET]):
            yield f"examples-{sheet:02d}.png", _example_sheet(shown[start : start + _PER_SHEET])
    for kind, sweeps in (("overall", content.overall_sweeps), ("label", content.label_sweeps)):
        for number, sweep in enumerate(sweeps):
            if sweep.curves:
                yield f"curves-{kind}-{number:02d}-{slug(sweep.name)}.png", _sweep_figure(sweep)


def _global_sheet(method: MethodMaps, groups: tuple[GlobalMap, ...], kind: str, content: ReportContent) -> Figure:
    captions = [f"{group.name} ({group.count:,})" if group.count is not None else group.name for group in groups]
    columns = -(-len(groups) // -(-len(groups) // _COLUMNS))  # rows of equal length
    return map_grid(
        folded([group.mean for group in groups], columns),
        captions=[captions[start : start + columns] for start in range(0, len(captions), columns)],
        title=f"{readable(method.name, 40)}: {'mean map per label' if kind == 'labels' else 'overall'}",
        signed=method.signed,
        shape=content.shape,
    )


def _example_sheet(examples: list[Example]) -> Figure:
    rows, captions, titles = [], [], []
    for example in examples:
        row = [] if example.image is None else [_in_color(displayed(example.image, 0.0, 1.0))]
        names = [] if example.image is None else ["image"]
        for name, values in example.maps:
            row.append(values if example.image is None else overlay(example.image, values))
            names.append(name)
        rows.append(row)
        captions.append(names)
        predicted = f", predicted {example.prediction}" if example.prediction else ""
        titles.append(f"{example.label}{predicted}; {readable(example.name, 30)}")
    captions = [names if index == 0 or names != captions[index - 1] else [] for index, names in enumerate(captions)]
    return map_grid(rows, captions=captions, row_titles=titles, share="each", title="Examples")


def _sweep_figure(sweep: Sweep) -> Figure:
    return curve_figure(sweep.fractions, sweep.curves, metric=sweep.metric, title=sweep.name)


def _in_color(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
