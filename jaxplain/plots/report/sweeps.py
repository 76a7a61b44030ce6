"""The page's part on erasing and restoring: curves, legend and tables of areas."""

import math
from collections.abc import Sequence

from jaxplain.plots.areas import AREA_COLUMNS, Area, Estimate, area_cells, number, percent
from jaxplain.plots.curves import Part, curve_figure, line_numbers
from jaxplain.plots.encoding import address, svg_bytes
from jaxplain.plots.report.content import ReportContent, Sweep
from jaxplain.plots.report.markup import Markup, breakable, element, join
from jaxplain.plots.theme import DARK, LIGHT, Theme, line_style
from jaxplain.plots.wording import readable

_PARTS: tuple[Part, ...] = ("erase", "restore")


def sweeps_section(content: ReportContent) -> Markup:
    """Write the curves of the averages, the table of their areas, and then label by label."""
    sweeps = (*content.overall_sweeps, *content.label_sweeps)
    title = element("h2", "Do the global maps show what the model uses?", id="test")
    if not sweeps:
        absent = "No erase and restore sweep is in this store. Run jaxplain peppr, then write the report again."
        return join(title, element("p", absent, class_="lead"))
    lead = (
        "One order of the pixels for all images, taken from a global map. Erasing the most important pixels first "
        "should make the model fail early; restoring them first should bring it back early. Gray lines are controls "
        "that know nothing about the model."
    )
    parts = [title, element("p", lead, class_="lead")]
    if content.sweep_settings:
        parts.append(element("p", content.sweep_settings, class_="lead"))
    for sweep in content.overall_sweeps:
        parts.append(_card(sweep, panel=(4.2, 2.8), legend=True))
        parts.append(area_rows(sweep))
    if content.label_sweeps:
        parts.append(element("h2", "Erase and restore, label by label", id="test-labels"))
        lead = (
            "The order of the label's own global map where that was swept, otherwise that of the first card. Colors "
            "and dashes as above; every card has a vertical scale of its own."
        )
        parts.append(element("p", lead, class_="lead"))
        if not content.overall_sweeps:
            parts.append(_legend(content.label_sweeps[0]))
        cards = [_card(sweep, panel=(3.1, 2.35), legend=False) for sweep in content.label_sweeps]
        parts.append(element("div", cards, class_="pairs"))
        parts.append(_differences(content.label_sweeps))
    return join(parts)


def area_rows(sweep: Sweep) -> Markup:
    """Write the table of areas, methods first, each difference also as a point on a common scale."""
    areas = sorted(sweep.areas, key=lambda area: area.control)
    bounds = [0.0, *(bound for area in areas for bound in _bounds(area.difference))]
    head = element("tr", [element("th", name, scope="col") for name in (*AREA_COLUMNS[:4], "", AREA_COLUMNS[4])])
    rows = []
    for area in areas:
        erase, restore, difference, fraction = (_cell(text) for text in area_cells(area))
        scale = element("td", _scale(area.difference, min(bounds), max(bounds)))
        name = element("th", breakable(readable(area.name)), scope="row")
        kind = "control" if area.control else None
        rows.append(element("tr", name, erase, restore, difference, scale, fraction, class_=kind))
    return _table(f"Areas under the curves of {sweep.metric}. {sweep.name}", head, rows)


def _differences(sweeps: Sequence[Sweep]) -> Markup:
    orders = list(dict.fromkeys((area.name, area.control) for sweep in sweeps for area in sweep.areas))
    orders.sort(key=lambda order: order[1])
    head = element(
        "tr",
        [element("th", "label", scope="col")],
        [element("th", breakable(readable(name, 48)), scope="col") for name, _ in orders],
    )
    rows = []
    for sweep in sweeps:
        found = {area.name: area for area in sweep.areas}
        cells = [_difference_cell(found.get(name)) for name, _ in orders]
        rows.append(element("tr", element("th", sweep.name, scope="row"), cells))
    return _table("Restore area minus erase area, and below it the pixels for 95 % of the gain", head, rows)


def _table(title: str, head: Markup, rows: Sequence[Markup]) -> Markup:
    """Put a table on a card; the title stays in place while a wide table is moved."""
    table = element("table", element("thead", head), element("tbody", rows), aria_label=title)
    return element("div", element("h3", title), element("div", table, class_="wide"), class_="card table")


def _difference_cell(area: Area | None) -> Markup:
    if area is None:
        return element("td", number(math.nan))
    fraction = percent(Estimate(area.fraction.value))
    return element("td", number(area.difference.value), element("span", fraction, class_="faint"))


def _cell(text: str) -> Markup:
    """Put the interval of a figure on a second, fainter line."""
    value, bracket, interval = text.partition(" [")
    return element("td", value, element("span", f"[{interval}", class_="faint") if bracket else "")


def _bounds(figure: Estimate) -> list[float]:
    return [value for value in (figure.value, figure.low, figure.high) if math.isfinite(value)]


def _scale(figure: Estimate, low: float, high: float) -> Markup:
    """Draw a figure and its interval as a point and a stroke between the bounds, with a mark at 0."""
    if not math.isfinite(figure.value):
        return join("")

    def place(value: float) -> float:
        return 4 + 92 * (value - low) / ((high - low) or 1.0)

    marks = [element("i", class_="zero", style=f"left:{place(0):.1f}%")]
    if figure.bounded:
        start, end = place(figure.low), place(figure.high)
        marks.append(element("i", class_="reach", style=f"left:{start:.1f}%;width:{max(end - start, 0.5):.1f}%"))
    marks.append(element("i", class_="dot", style=f"left:{place(figure.value):.1f}%"))
    return element("span", marks, class_="scale", aria_hidden="true")


def _card(sweep: Sweep, *, panel: tuple[float, float], legend: bool) -> Markup:
    head = element("div", element("div", element("h3", sweep.name), element("p", sweep.metric)), class_="head")
    if not sweep.curves:
        reason = sweep.remark or "There are no curves for this label."
        return element("div", head, element("p", reason, class_="faint"), class_="card")
    panels = [_panel(sweep, part, panel) for part in _PARTS]
    remark = element("p", sweep.remark, class_="faint") if sweep.remark else ""
    top = _legend(sweep) if legend else ""
    return element("div", head, top, element("div", panels, class_="panels"), remark, class_="card")


def _panel(sweep: Sweep, part: Part, panel: tuple[float, float]) -> Markup:
    def drawn(theme: Theme) -> str:
        figure = curve_figure(
            sweep.fractions, sweep.curves, metric=sweep.metric, parts=(part,), legend=False, panel=panel, theme=theme
        )
        return address(svg_bytes(figure), "svg")

    lowest = min(sweep.curves, key=lambda curve: curve.control).values(part)
    alt = (
        f"{sweep.metric} of {readable(sweep.name)} while the most important pixels are {part}d first; "
        f"curves of {', '.join(readable(curve.name, 40) for curve in sweep.curves)}; "
        f"the first goes from {number(lowest[0])} to {number(lowest[-1])}"
    )
    dark = element("source", media="(prefers-color-scheme: dark)", srcset=drawn(DARK))
    return element("picture", dark, element("img", src=drawn(LIGHT), alt=alt))


def _legend(sweep: Sweep) -> Markup:
    items = []
    for curve, style in zip(sweep.curves, line_numbers(sweep.curves), strict=True):
        keys = []
        for theme in (LIGHT, DARK):
            color, dashes = line_style(theme, style, curve.control)
            dash = " ".join(f"{2 * length:g}" for length in dashes) or None
            line = element("line", x1=0, y1=5, x2=32, y2=5, stroke=color, stroke_width="2.4", stroke_dasharray=dash)
            keys.append(element("svg", line, viewBox="0 0 32 10", class_=f"only-{theme.name}", aria_hidden="true"))
        items.append(element("li", keys, element("span", readable(curve.name))))
    return element("ul", items, class_="legend")
