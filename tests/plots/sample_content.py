"""A report's content with blobs in the place of real maps, for the tests of the page."""

import numpy as np

from jaxplain.plots import Area, Curve, Estimate
from jaxplain.plots.report.content import (
    Example,
    GlobalMap,
    Label,
    MethodMaps,
    Quarantined,
    ReportContent,
    Sweep,
)

NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "<script>alert(1)</script>",
    "Coat & $x^2$",
    "Sandal",
    "Shirt",
    'Sneaker "left"',
    "Bag",
    "Ankle boot",
)
METHODS = ("gradient", "smoothgrad", "integrated_gradients", "grad_cam")


def blob(shape: tuple[int, int], center: tuple[float, float], width: float = 0.03) -> np.ndarray:
    rows, columns = (np.linspace(0, 1, length) for length in shape)
    return np.exp(-((rows[:, None] - center[0]) ** 2 + (columns[None] - center[1]) ** 2) / width)


def sample(
    *,
    names: tuple[str, ...] = NAMES,
    methods: tuple[str, ...] = METHODS,
    shape: tuple[int, int] = (28, 28),
    color: bool = False,
    images: bool = True,
    n_examples: int = 2,
    n_sweeps: int | None = None,
    seed: int = 0,
) -> ReportContent:
    """Make content: the second method is signed, the last one coarse, the fourth label without images."""
    rng = np.random.default_rng(seed)
    empty = 3 if len(names) > 3 else None
    centers = rng.uniform(0.25, 0.75, (len(names), 2))

    def drawn(method: int, label: int, noise: float) -> np.ndarray:
        size = (7, 7) if method == len(methods) - 1 else shape
        center = (float(centers[label, 0]), float(centers[label, 1]))
        values = blob(size, center, 0.02 + 0.02 * method) * (1 - 0.3 * rng.random(size))
        values += noise * rng.random(size)
        if method == 1:
            values -= 0.8 * blob(size, (1 - center[0], 1 - center[1]))
        return values.astype(np.float32)

    def mean_of(method: int, label: int) -> np.ndarray:
        values = drawn(method, label, 0.1)
        return values * np.nan if label == empty else values

    counts = [0 if label == empty else 1000 - label for label in range(len(names))]
    maps = []
    for method, name in enumerate(methods):
        labels = tuple(GlobalMap(text, mean_of(method, label), counts[label]) for label, text in enumerate(names))
        total = np.nanmean([group.mean for group in labels if group.count], axis=0)
        overall = (GlobalMap("macro", total, sum(counts)), GlobalMap("micro", total, sum(counts)))
        settings = ("", "n_samples 16, sigma 0.15", "n_steps 32, rule gauss_legendre", "layer conv_3")[method % 4]
        steps = (
            "signed, sum over channels"
            if method == 1
            else "absolute, sum over channels, each map divided by its maximum"
        )
        maps.append(MethodMaps(name, settings, steps, method == 1, overall, labels, labels))
    examples = []
    for label, text in enumerate(names):
        if label == empty:
            continue
        group = []
        for turn in range(n_examples):
            picture = blob(shape, (float(centers[label, 0]), 0.5), 0.15) * (0.6 + 0.4 * rng.random(shape))
            picture = np.stack([picture, picture**2, 1 - picture], -1) if color else picture
            shown = tuple((name, drawn(method, label, 0.3)) for method, name in enumerate(methods))
            correct = turn == 0
            prediction = f"{text if correct else names[(label + 1) % len(names)]}, 0.93"
            group.append(
                Example(f"row {31 * label + turn}", text, prediction, correct, picture if images else None, shown)
            )
        examples.append((text, tuple(group)))
    bad = tuple(Quarantined(row, f"img[/x{row}].jpg", "truncated <file>\x1b[31m\n") for row in range(3))
    facts = (
        ("Model", (("factory", "demo.network:small"), ("checkpoint", "runs/demo/checkpoint"), ("logits", "9f3a…"))),
        ("Images", (("source", "idx://t10k-images.gz"), ("images", "10,000"), ("shape", "28, 28, 1"))),
        ("Run", (("device", "cpu"), ("images/s", "1,240"), ("peak memory", "1.1 GB"), ("batch", "64"))),
        ("Versions", (("jaxplain", "0.1.0"), ("jax", "0.10.2"), ("numpy", "2.4.6"))),
    )
    return ReportContent(
        title="fashion-mnist <demo>",
        summary=(("10,000", "images"), (str(len(names)), "labels"), (str(len(methods)), "methods"), ("3", "left out")),
        labels=tuple(Label(index, text, counts[index]) for index, text in enumerate(names)),
        methods=tuple(maps),
        examples=tuple(examples),
        example_rule=f"The first {n_examples} usable images of every label, in the order of the data.",
        overall_sweeps=(sweep("mean over labels", methods, rng),),
        label_sweeps=tuple(
            Sweep(text, "ROC-AUC", np.linspace(0, 1, 11), (), (), "There is no image of this label.")
            if label == empty
            else sweep(text, methods, rng)
            for label, text in enumerate(names[:n_sweeps])
        ),
        sweep_settings="10 steps, 2,000 images, baseline: mean image of the data, 200 resamples, 95 % intervals.",
        quarantined=bad,
        n_quarantined=7,
        remarks=("Label without images: <script>alert(1)</script>.",) if empty is not None else (),
        facts=facts,
        job='{\n  "seed": 0,\n  "methods": {"gradient": {}}\n}',
    )


def sweep(name: str, methods: tuple[str, ...], rng: np.random.Generator) -> Sweep:
    steps = np.linspace(0, 1, 11)
    curves, areas = [], []
    for index, (text, control) in enumerate(
        [(text, False) for text in methods]
        + [("random (mean of 10 orders)", True), ("center distance", True), ("mean-image energy", True)]
    ):
        power = 0.25 + 0.12 * index + 0.1 * rng.random()
        restore = 0.5 + 0.48 * steps**power
        erase = 0.5 + 0.48 * (1 - steps**power)
        width = 0.02 * np.sin(np.pi * steps) + 0.004
        bands = (np.stack([erase - width, erase + width]), np.stack([restore - width, restore + width]))
        curves.append(Curve(text, erase, restore, *bands, control=control))
        up, down = float(np.trapezoid(restore, steps)), float(np.trapezoid(erase, steps))
        estimates = [Estimate(value, value - 0.01, value + 0.01) for value in (down, up, up - down)]
        areas.append(Area(text, *estimates, Estimate(0.95 ** (1 / power)), control))
    return Sweep(name, "ROC-AUC", steps, tuple(curves), tuple(areas))
