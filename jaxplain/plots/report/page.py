"""The page as a whole: what stands on it, in which order, in which words."""

from collections.abc import Sequence
from importlib.resources import files

from jaxplain.plots.color import ColorRange, color_range
from jaxplain.plots.overlay import overlay
from jaxplain.plots.report.content import Example, GlobalMap, Label, MethodMaps, ReportContent
from jaxplain.plots.report.findings import findings
from jaxplain.plots.report.markup import Markup, breakable, element, join
from jaxplain.plots.report.pictures import (
    balanced_columns,
    color_bar,
    longest_side,
    map_tile,
    overlay_bar,
    picture_tile,
    tile_width,
)
from jaxplain.plots.report.sweeps import sweeps_section
from jaxplain.plots.wording import readable

# Nothing may be loaded from anywhere and no script may run, whatever the names on the page hold.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_READING = (
    "A map shows which pixels the model's score depends on. It shows neither why, nor whether the label is right.",
    "A global map averages maps pixel by pixel. It describes the subject where a pixel means the same place in every "
    "image; otherwise it mostly shows where objects tend to be. Macro gives every label the same weight, micro every "
    "image.",
    "Erasing and restoring test a global map. Look at restore area minus erase area, and at the controls first: random "
    "orders show how far from 0 chance goes, and where the distance from the center does as well, a map says little "
    "more.",
    "Images with erased pixels resemble nothing the model was trained on, and part of any fall comes from that. All "
    "orders share it: differences count, single values do not.",
    "Intervals come from drawing images again for this one model. They do not cover another training run.",
    "A color bar belongs to the maps around it: macro and micro share one, the labels of a method another. Colors of "
    "different methods are not to be compared.",
)


def render(content: ReportContent) -> str:
    """Write the page: one self-contained, well-formed document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{readable(content.title)}: explanation report"),
        element("style", Markup(_style())),
    )
    sections = [
        _global_section(content),
        _example_section(content),
        sweeps_section(content),
        _label_section(content.labels),
        _quarantine_section(content),
        _facts_section(content),
    ]
    footer = element("footer", "Written by jaxplain. This file needs no other file and no network.")
    body = element("body", _header(content), element("main", sections), footer)
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _style() -> str:
    return files(__package__).joinpath("style.css").read_text("utf-8")


def _header(content: ReportContent) -> Markup:
    figures = [element("div", element("dt", what), element("dd", value)) for value, what in content.summary]
    found = [line for sweep in content.overall_sweeps[:1] for line in findings(sweep)]
    links = [("maps", "Global maps"), ("examples", "Examples"), ("test", "Erase and restore"), ("facts", "Facts")]
    reading = element("div", element("h3", "How to read this"), _items(_READING), class_="card plain")
    brief = element("div", element("h3", "In brief"), _items(found), class_="card plain brief") if found else ""
    remarks = (*content.remarks, *content.omitted)
    return element(
        "header",
        element("h1", readable(content.title)),
        element(
            "p",
            "What a trained model looks at, over a whole data set, and a test of whether that is so.",
            class_="lead",
        ),
        element("nav", element("ul", [element("li", element("a", text, href=f"#{key}")) for key, text in links])),
        element("dl", figures, class_="numbers") if figures else "",
        element("div", _items(remarks), class_="card notes") if remarks else "",
        element("div", brief, reading, style="margin-top:1.5rem"),
    )


def _items(lines: Sequence[str]) -> Markup:
    return element("ul", [element("li", line) for line in lines])


def _global_section(content: ReportContent) -> Markup:
    n_tiles = sum(len(method.labels) + len(method.predictions) + len(method.overall) for method in content.methods)
    longest = longest_side(n_tiles)
    title = element("h2", "Global maps", id="maps")
    if not n_tiles:
        absent = "No global map is in this store yet. Run jaxplain finalize, then write the report again."
        return join(title, element("p", absent, class_="lead"))
    lead = "The mean map of each group of images, one card per method. Below each name: the number of images."
    cards = [_method_card(method, longest, content.shape) for method in content.methods]
    return join(title, element("p", lead, class_="lead"), cards)


def _method_card(method: MethodMaps, longest: int, shape: tuple[int, int] | None) -> Markup:
    groups = (*method.labels, *method.predictions)
    colors = color_range(*(group.mean for group in groups), signed=method.signed)
    overall = color_range(*(group.mean for group in method.overall), signed=method.signed)
    about = [element("p", text) for text in (method.settings, method.steps, method.remark) if text]
    head = element("div", element("div", element("h3", method.name), about), color_bar(colors), class_="head")

    def tiles(chosen: Sequence[GlobalMap], colors: ColorRange, where: str, kind: str) -> Markup:
        drawn = []
        for group in chosen:
            counted = "" if group.count is None else element("small", f"{group.count:,}")
            alt = f"Global map of {readable(method.name)}, {where} {readable(group.name)}"
            drawn.append(
                map_tile(group.mean, colors, [breakable(readable(group.name, 60)), counted], alt, longest=longest)
            )
        drawn += [color_bar(colors)] if kind == "overall" else []
        return element("div", drawn, class_=f"tiles {kind}")

    shapes = [shape] if shape else [group.mean.shape for group in (*method.overall, *groups)]
    width, most, side = (tile_width(shapes, base=base) for base in (6.6, 12.0, 10.5))
    columns = balanced_columns(max(len(method.labels), 1), width)
    body = [tiles(method.overall, overall, "overall", "overall")] if method.overall else []
    body.append(tiles(method.labels, colors, "label", "balanced"))
    parts = [head, element("div", body, class_="method" if method.overall else None)]
    if method.predictions:
        opened = element("summary", "By prediction instead of label")
        parts.append(element("details", opened, tiles(method.predictions, colors, "prediction", "balanced")))
    return element(
        "section", parts, class_="card", style=f"--tile:{width};--most:{most};--side:{side};--columns:{columns}"
    )


def _example_section(content: ReportContent) -> Markup:
    title = element("h2", "Examples", id="examples")
    shown = [example for _, group in content.examples for example in group]
    if not shown:
        return join(title, element("p", "There is no example to show.", class_="lead"))
    lead = f"{content.example_rule} Each map has its own range: full color is its largest magnitude."
    signed = {bool((values < 0).any()) for example in shown for _, values in example.maps}
    n_tiles = sum(len(example.maps) + (example.image is not None) for example in shown)
    across = max(len(example.maps) + (example.image is not None) for example in shown)
    shapes = [values.shape for example in shown for _, values in example.maps]
    columns = across if across <= 6 else -(-across // 2) if across <= 12 else 6
    width = float(tile_width(shapes, base=5.2).removesuffix("rem"))
    few = columns if columns <= 3 else 3
    style = f"--n:{columns};--few:{few};--card:{columns * (width + 0.5) + 2.2:.1f}rem"
    longest = longest_side(n_tiles)
    cards = [_example_card(example, longest, content.shape) for example in shown]
    if any(example.image is not None for example in shown):
        bars = [overlay_bar(kind) for kind in sorted(signed)]
    else:
        bars = []
    return join(
        title,
        element("div", element("div", element("p", lead)), bars, class_="head"),
        element("div", cards, class_="cards", style=style),
    )


def _example_card(example: Example, longest: int, shape: tuple[int, int] | None) -> Markup:
    mark = {True: "right", False: "wrong", None: None}[example.correct]
    verdict = f"predicted {readable(example.prediction)}" if example.prediction else ""
    sign = {True: "✓ ", False: "✗ ", None: ""}[example.correct]
    about = element("p", element("span", sign + verdict, class_=mark), f" · {readable(example.name, 60)}")
    if not verdict:
        about = element("p", readable(example.name, 60))
    head = element("div", element("div", element("h3", readable(example.label)), about), class_="head")
    called = f"{readable(example.label)}, {readable(example.name)}"
    tiles = []
    if example.image is not None:
        tiles.append(picture_tile(example.image, ["image"], f"Image: {called}", longest=longest))
    for name, values in example.maps:
        alt, caption = f"Map of {readable(name)}: {called}", [breakable(readable(name, 40))]
        if example.image is None:
            tiles.append(map_tile(values, color_range(values), caption, alt, longest=longest, shape=shape))
        else:
            tiles.append(picture_tile(overlay(example.image, values), caption, alt, longest=longest))
    return element("article", head, element("div", tiles, class_="tiles"), class_="card example")


def _label_section(labels: Sequence[Label]) -> Markup:
    if not labels:
        return join("")
    head = element("tr", [element("th", text, scope="col") for text in ("label", "images")])
    rows = []
    for label in labels:
        count = f"{label.count:,}" if label.count else "no images"
        rows.append(element("tr", element("th", readable(label.name), scope="row"), element("td", count)))
    table = element("div", element("table", element("thead", head), element("tbody", rows)), class_="wide card")
    opened = element("summary", f"All {len(labels):,} labels and their number of images")
    return join(element("h2", "Labels", id="labels"), element("details", opened, table))


def _quarantine_section(content: ReportContent) -> Markup:
    if not content.n_quarantined:
        return join("")
    titles = [element("th", "image", scope="col"), element("th", "row", scope="col")]
    head = element("tr", titles, element("th", "reason", scope="col", class_="text"))
    rows = [
        element(
            "tr",
            element("th", bad.name, scope="row"),
            element("td", f"{bad.row:,}"),
            element("td", bad.reason, class_="text"),
        )
        for bad in content.quarantined
    ]
    title = element("h2", f"Images left out ({content.n_quarantined:,})", id="quarantine")
    lead = "These images could not be used. They have no map and enter no mean, no curve and no figure on this page."
    rest = content.n_quarantined - len(content.quarantined)
    more = element("p", f"{rest:,} more are not listed here.", class_="faint") if rest else ""
    table = element("div", element("table", element("thead", head), element("tbody", rows)), class_="wide")
    return join(title, element("p", lead, class_="lead"), element("div", table, more, class_="card"))


def _facts_section(content: ReportContent) -> Markup:
    cards = []
    for name, pairs in content.facts:
        rows = [join(element("dt", key), element("dd", breakable(value))) for key, value in pairs]
        cards.append(element("div", element("h3", name), element("dl", rows, class_="facts"), class_="card"))
    job = ""
    if content.job:
        # A job keeps its line breaks; everything else that is not text is made visible.
        text = join(Markup("\n").join(join(line) for line in content.job.split("\n")))
        job = element("details", element("summary", "The resolved job"), element("pre", Markup(text), class_="card"))
    return join(
        element("h2", "Facts of the run", id="facts"),
        element("div", cards, class_="columns"),
        element("div", job, style="margin-top:1rem"),
    )
