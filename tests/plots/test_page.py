"""The page: well-formed, self-contained, complete and safe with any names."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxplain.plots.areas import Area, Estimate
from jaxplain.plots.report import render
from jaxplain.plots.report.content import ReportContent, Sweep
from jaxplain.plots.report.figures import report_figures
from jaxplain.plots.report.findings import findings
from jaxplain.plots.report.markup import Markup, breakable, element
from jaxplain.plots.report.pictures import balanced_columns

from .sample_content import METHODS, NAMES, sample


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


class Addresses(HTMLParser):
    """Collects what a browser would load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for key, value in attrs if key in ("src", "srcset", "href", "action", "data", "poster")]


def addresses(text: str) -> Addresses:
    parser = Addresses()
    parser.feed(text)
    return parser


def parsed(page: str) -> ElementTree.Element:
    """The page as a tree, without the places where a long name may break."""
    return ElementTree.fromstring(page.replace("<wbr />", ""))


def words(tree: ElementTree.Element) -> str:
    return " ".join(tree.itertext()).replace("\n", " ")


def test_page_is_well_formed_and_every_label_and_method_is_on_it(page):
    tree = parsed(page)
    shown = words(tree.find("body"))
    for name in (*NAMES, *METHODS):
        assert name in shown
    assert "fashion-mnist <demo>" in shown


def test_page_loads_nothing_from_elsewhere_and_runs_nothing(page):
    seen = addresses(page)
    assert seen.found and all(address.startswith(("data:image/", "#")) for address in seen.found)
    assert not {"script", "iframe", "object", "embed", "link", "form"} & set(seen.tags)
    policies = [node.get("content") for node in parsed(page).iter("meta") if node.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "url(" not in page and "@import" not in page
    for drawing in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page):
        content = base64.b64decode(drawing)
        assert not re.search(rb"(?:href|src)=\"(?!#)|<script|@import|<!DOCTYPE", content)


def test_links_of_the_page_lead_somewhere(page):
    targets = set(re.findall(r' id="([^"]+)"', page))
    assert {address[1:] for address in addresses(page).found if address.startswith("#")} <= targets


def test_markup_in_names_is_shown_and_not_obeyed(page):
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "truncated &lt;file&gt;\\x1b[31m\\n" in page
    assert "img[/x0].jpg" in page


def test_every_image_has_a_text_in_its_place(page):
    for image in parsed(page).iter("img"):
        assert image.get("alt")


def test_a_label_without_images_says_so_in_maps_curves_and_notes(page):
    tree = parsed(page)
    empty = [node for node in tree.iter("div") if node.get("class") == "empty"]
    assert len(empty) == 2 * len(METHODS)  # by label and by prediction
    assert all(node.text == "no images" and NAMES[3] in node.get("aria-label") for node in empty)
    assert "There is no image of this label." in words(tree)
    assert f"Label without images: {NAMES[3]}." in words(tree)


def test_curves_have_a_light_and_a_dark_variant(page):
    pictures = list(parsed(page).iter("picture"))
    assert len(pictures) == 2 * (1 + len(NAMES) - 1)
    for picture in pictures:
        assert picture.find("source").get("media") == "(prefers-color-scheme: dark)"
        assert picture.find("source").get("srcset") != picture.find("img").get("src")
    assert "@media (prefers-color-scheme: dark)" in page


def test_areas_name_every_order_with_its_interval(page):
    table = next(node for node in parsed(page).iter("table") if "Areas under" in node.get("aria-label", ""))
    rows = [" ".join(words(row).split()) for row in table.find("tbody")]
    assert [row.split()[0] for row in rows[: len(METHODS)]] == list(METHODS)
    assert all(re.search(r"\[\S+, \S+\]", row) and row.endswith("%") for row in rows)


def test_quarantined_images_are_listed_with_the_rest_counted(page):
    shown = words(parsed(page))
    assert "Images left out (7)" in shown and "4 more are not listed here." in shown


@pytest.mark.parametrize(
    "content",
    [
        ReportContent("nothing"),
        sample(names=("lesion",), methods=("grad_cam",), images=False),
        sample(
            names=tuple(f"class {i}" for i in range(24)), methods=METHODS[:2], shape=(12, 60), color=True, n_sweeps=3
        ),
        sample(names=("a", "b"), methods=tuple(f"m{i}" for i in range(10)), shape=(60, 12)),
        replace(sample(names=("a",), methods=("m",)), methods=(), overall_sweeps=(), label_sweeps=()),
    ],
    ids=["nothing", "one", "many-labels", "many-methods", "examples-only"],
)
def test_page_is_sound_for_any_amount_of_content(content):
    page = render(content)
    parsed(page)
    assert len(page) < 8e6


def test_page_of_ten_labels_and_four_methods_is_light():
    assert len(render(sample(shape=(224, 224), color=True, n_examples=1))) < 8e6


def test_content_gives_the_same_page_again():
    assert render(sample(names=NAMES[:2])) == render(sample(names=NAMES[:2]))


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=40))
def test_any_name_leaves_the_page_well_formed(name):
    content = ReportContent(name, summary=((name, name),), remarks=(name,), job=name, facts=((name, ((name, name),)),))
    tree = ElementTree.fromstring(render(content))
    assert sum(1 for _ in tree.iter("script")) == 0


def test_figures_have_one_file_each_whatever_the_names():
    content = sample(names=("a/b", "a b", "../.."), methods=("x/y", "x y"), n_examples=1)
    names = [name for name, _ in report_figures(content)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+\.png", name) for name in names)
    assert sum(name.startswith("global") for name in names) == 4
    assert sum(name.startswith("curves") for name in names) == 4


def test_text_is_escaped_unless_it_is_markup():
    assert element("p", "<", Markup("<b/>"), class_='"') == '<p class="&quot;">&lt;<b/></p>'
    assert breakable("a_b<c") == "a_<wbr />b&lt;c"


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (7, 7), (8, 4), (10, 5), (24, 6)])
def test_rows_of_tiles_are_filled(n, columns):
    assert balanced_columns(n, "6.60rem", room=52) == columns


def area(name: str, low: float, high: float, control: bool = False) -> Area:
    none = Estimate(float("nan"))
    return Area(name, none, none, Estimate((low + high) / 2, low, high), none, control)


def said(*areas: Area) -> str:
    return " ".join(findings(Sweep("macro", "AUC", np.zeros(2), (), areas)))


def test_findings_claim_only_what_the_intervals_hold():
    random = area("random", -0.02, 0.02, control=True)
    assert "Every method is clearly ahead" in said(area("a", 0.3, 0.4), area("b", 0.1, 0.2), random)
    assert "No method is clearly ahead" in said(area("a", 0.01, 0.4), random)
    mixed = said(area("a", 0.3, 0.4), area("b", 0.0, 0.2), random)
    assert "a: clearly ahead" in mixed and "Not clearly ahead: b." in mixed
    assert "do not tell a from b" in said(area("a", 0.3, 0.4), area("b", 0.28, 0.39), random)
    assert "nothing can be said" in said(area("a", 0.3, 0.4))
    assert said(area("a", float("nan"), float("nan")), random) == ""
