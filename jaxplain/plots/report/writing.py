"""Writing the page and its figures."""

import os
from collections.abc import Mapping
from typing import Any

from jaxplain.io.sources.base import Source
from jaxplain.io.storage import Storage
from jaxplain.io.store import Store
from jaxplain.plots.encoding import png_bytes
from jaxplain.plots.report.figures import report_figures
from jaxplain.plots.report.page import render
from jaxplain.plots.report.reading import report_content

PAGE = "index.html"


def write_report(
    store: Store,
    source: Source | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    examples: int = 2,
    facts: Mapping[str, Any] | None = None,
    figures: bool = True,
) -> str:
    """Write the report on a store: ``index.html``, and its figures as PNG files beside it.

    The page needs none of the other files. It is written last and as a whole; reports may be written as often as one
    likes, also while a run goes on.

    Args:
        store: An open store.
        source: The images of the run; without them the examples are maps alone.
        output: Folder or address to write to; None for ``report`` inside the store.
        examples: Number of example images per label, at least 0.
        facts: Further facts of the run, such as ``{"images/s": 1240}``.
        figures: Whether to write the PNG files too.

    Returns:
        The page's place.

    Raises:
        InputError: If the source is not the one of the run.
        OSError: If the output cannot be written.
    """
    content = report_content(store, source, examples=examples, facts=facts)
    place, folder = (store.storage, "report/") if output is None else (Storage.open(output), "")
    if figures:
        for name, figure in report_figures(content):
            place.write(f"{folder}{name}", png_bytes(figure))
    place.write(f"{folder}{PAGE}", render(content).encode("utf-8"))
    return place.where(f"{folder}{PAGE}")
