"""What a report says, apart from how it looks: the page and the figures are made from this and from nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxplain.plots.areas import Area
from jaxplain.plots.curves import Curve

Map = NDArray[np.floating]


@dataclass(frozen=True)
class Label:
    """A label of the data set and the number of usable images that carry it."""

    index: int
    name: str
    count: int


@dataclass(frozen=True)
class GlobalMap:
    """The mean of the maps of one group of images; NaN everywhere where the group has no image."""

    name: str
    mean: Map
    count: int | None = None


@dataclass(frozen=True)
class MethodMaps:
    """The global maps of one method.

    Attributes:
        name: The method's name in the job.
        settings: Its knobs, as text.
        steps: The named steps from a raw map to a map of importance, as text.
        signed: Whether its maps carry a sign; None looks for negative values.
        overall: Means over all images, such as macro and micro.
        labels: One mean per shown label.
        predictions: One mean per shown predicted label.
        remark: What is missing, or empty.
    """

    name: str
    settings: str = ""
    steps: str = ""
    signed: bool | None = None
    overall: tuple[GlobalMap, ...] = ()
    labels: tuple[GlobalMap, ...] = ()
    predictions: tuple[GlobalMap, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Example:
    """One image with the map of every method that has one.

    Attributes:
        name: What the image is called: its file or its row.
        label: Its label, or its labels.
        prediction: The predicted label with its score, or empty.
        correct: Whether the prediction is the label; None where there is no single one.
        image: (H, W) or (H, W, 3) in [0, 1]; None without access to the images.
        maps: Pairs of a method's name and its map (h, w), pooled over channels.
    """

    name: str
    label: str
    prediction: str
    correct: bool | None
    image: NDArray[np.floating] | None
    maps: tuple[tuple[str, Map], ...]


@dataclass(frozen=True)
class Sweep:
    """The erase and restore curves of one performance figure.

    Attributes:
        name: The average or the label that the performance is about.
        metric: What is measured, for the vertical axis.
        fractions: Fraction of the pixels at every step (step,).
        curves: One curve per order of the pixels, controls included.
        areas: What the curves come to, in the same order.
        remark: Why there is no curve, or empty.
    """

    name: str
    metric: str
    fractions: NDArray[np.floating]
    curves: tuple[Curve, ...]
    areas: tuple[Area, ...]
    remark: str = ""


@dataclass(frozen=True)
class Quarantined:
    """An image that was left out, and why."""

    row: int
    name: str
    reason: str


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page.

    Attributes:
        title: What the run is called.
        shape: Height and width of the images, which maps of fewer cells are stretched to; None if unknown.
        summary: A few figures, each with what it counts.
        labels: All labels, shown or not.
        methods: The global maps.
        examples: Example images by label.
        example_rule: How the examples were chosen.
        overall_sweeps: Curves of averages over labels.
        label_sweeps: Curves of single labels.
        sweep_settings: How the curves were made, as text.
        quarantined: Images left out, the first of them.
        n_quarantined: How many were left out in all.
        omitted: What the page leaves out, and by which rule.
        remarks: What a reader must know before reading on, such as unfinished parts and labels without images.
        facts: Facts of the run: sections of pairs.
        job: The resolved job, as text.
    """

    title: str
    shape: tuple[int, int] | None = None
    summary: tuple[tuple[str, str], ...] = ()
    labels: tuple[Label, ...] = ()
    methods: tuple[MethodMaps, ...] = ()
    examples: tuple[tuple[str, tuple[Example, ...]], ...] = ()
    example_rule: str = ""
    overall_sweeps: tuple[Sweep, ...] = ()
    label_sweeps: tuple[Sweep, ...] = ()
    sweep_settings: str = ""
    quarantined: tuple[Quarantined, ...] = ()
    n_quarantined: int = 0
    omitted: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    job: str = ""
