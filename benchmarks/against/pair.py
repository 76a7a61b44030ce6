"""A method of jaxplain beside what computes the same in a peer, and how far their maps agree."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np

import jaxplain
from benchmarks.against.subjects import Subject
from benchmarks.against.torch_side import Open, Setting, runner

KEY = jax.random.key(0)
SAME = 1e-4
"""Relative L2 difference up to which two maps are of one definition: both in float64, or both as they are timed.

A peer's threshold may decide otherwise in float64, such as Captum's below which DeepLIFT takes the gradient.
"""
FLIPPED = 1e-2
"""Relative L2 difference in float32 that two maps of one definition may have.

Where a ReLU's input is nearly zero, rounding decides whether it is open. A share p of such gates changes a gradient by
about the root of p: one gate changes a map of VGG-16 by 2e-3, and ResNet-50's gradients in float32, of PyTorch and of
JAX alike, are off by one or two percent.
"""
ROUNDING = 10.0
"""How many times the peer's own rounding error, against itself in float64, they may have where that is more."""


@dataclass(frozen=True)
class Work:
    """How much a run does.

    Args:
        batch: Images.
        samples: Gradients or evaluations per image, where a method has samples.
    """

    batch: int
    samples: int


Keywords = Callable[[Subject, int], dict[str, Any]]


FEWEST_COALITIONS = 16
"""Of six players: nobody and everybody, each alone and each left out, and a pair besides."""


@dataclass(frozen=True)
class Pair:
    """One method in both libraries.

    Args:
        peer: The peer's name, which is its module here.
        method: jaxplain's method.
        peer_method: What it is called there.
        open_peer: Makes the peer's side for a number of samples.
        keywords: jaxplain's keywords for a subject and a number of samples.
        variant: Tells several pairs of one method apart, such as LRP's composites.
        cost: "gradient" and "relevance" are one pass per image, "samples" are gradients, "windows" forward passes,
            "coalitions" too, of which there must be some more.
        serves: Which networks it is for.
        differs: The peer's convention where it is another one and cannot be mapped, so that maps are not expected to
            agree; or empty.
        mapped: Conventions that are brought together, and how.
        agreeing: The peer's side whose maps are compared, where that is not the timed one (given noise, for example).
        finish: What brings our map to the peer's form; timed with ours.
        inner: Whether the peer can be told how much to evaluate together.
        hooks: Whether the peer places hooks in the network, which ``torch.compile`` does not take.
    """

    peer: str
    method: str
    peer_method: str
    open_peer: Callable[[int], Open]
    keywords: Keywords = lambda subject, samples: {}
    variant: str = ""
    cost: Literal["gradient", "relevance", "samples", "windows", "coalitions"] = "gradient"
    serves: Callable[[Subject], bool] = lambda subject: True
    differs: str = ""
    mapped: str = ""
    agreeing: Callable[[int], Open] | None = None
    finish: Callable[[np.ndarray], np.ndarray] = lambda maps: maps
    inner: bool = False
    hooks: bool = False

    @property
    def name(self) -> str:
        """The method with its variant, as it is chosen on the command line."""
        return f"{self.method}:{self.variant}" if self.variant else self.method

    @property
    def cell(self) -> str:
        """The pair's name in the record."""
        return f"{self.peer}/{self.name}"

    def work(self, gradients: int) -> Work:
        """Return the work that takes about as long as some gradients."""
        if self.cost == "samples":
            return Work(1, max(2, gradients))
        if self.cost == "windows":
            return Work(1, max(4, 2 * gradients))
        if self.cost == "coalitions":
            return Work(1, max(FEWEST_COALITIONS, 2 * gradients))
        return Work(max(1, gradients // (1 if self.cost == "gradient" else 3)), 0)

    def ours(self, subject: Subject, samples: int, *, precision: str = "fast") -> Callable[[], np.ndarray]:
        """Return the run of jaxplain: host arrays to host arrays, as a user calls it."""
        keywords = self.keywords(subject, samples)

        def run() -> np.ndarray:
            maps = jaxplain.explain(
                subject.model,
                subject.images,
                subject.target,
                method=self.method,
                batch=len(subject.images),
                precision=precision,
                key=KEY,
                **keywords,
            )
            return self.finish(maps)

        return run

    def agreement(self, subject: Subject, samples: int, setting: Setting, precision: str = "fast") -> "Agreement":
        """Compare the maps of both sides, each as it is timed and in float64."""

        def theirs(own: Setting) -> np.ndarray:
            with runner((self.agreeing or self.open_peer)(samples), subject, own) as run:
                return channels_last(run())

        exact = None
        if not self.differs:
            with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
                exact = self.ours(subject.in_float64(), samples)(), theirs(replace(setting, dtype="float64"))
        return Agreement.of(self.ours(subject, samples, precision=precision)(), theirs(setting), exact, self)


@dataclass(frozen=True)
class Agreement:
    """How far two maps agree.

    Args:
        relative_l2: Norm of the difference over the norm of the peer's map.
        in_float64: The same, both in float64; None where nothing is to agree.
        rounding: The same between the peer's map and its map in float64; None where nothing is to agree.
        cosine: Of the angle between ours and the peer's.
        agrees: Whether the definition is the same, and the maps differ by what rounding explains; None where they are
            not expected to agree.
        differs, mapped: As in ``Pair``.
    """

    relative_l2: float
    in_float64: float | None
    rounding: float | None
    cosine: float
    agrees: bool | None
    differs: str = field(default="")
    mapped: str = field(default="")

    @classmethod
    def of(
        cls, ours: np.ndarray, theirs: np.ndarray, exact: tuple[np.ndarray, np.ndarray] | None, pair: Pair
    ) -> "Agreement":
        """Compare two batches of maps; the peer's may have one channel for what is broadcast in ours.

        Args:
            ours: Our maps.
            theirs: The peer's.
            exact: Both in float64; None where they are not expected to agree.
            pair: The pair.
        """
        distance = relative_l2(ours, theirs)
        definition = rounding = agrees = None
        if exact is not None:
            definition, rounding = relative_l2(*exact), relative_l2(theirs, exact[1])
            agrees = min(definition, distance) <= SAME and distance <= max(FLIPPED, ROUNDING * rounding)
        return cls(distance, definition, rounding, cosine(ours, theirs), agrees, pair.differs, pair.mapped)


def relative_l2(one: np.ndarray, other: np.ndarray) -> float:
    """Return the norm of the difference over the norm of the second, in which one channel may stand for all."""
    one, other = aligned(one, other)
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of the angle between two maps."""
    one, other = aligned(one, other)
    return float(np.vdot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def aligned(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two batches of maps in float64, the second without the one channel that the first does not have.

    Raises:
        ValueError: Their shapes differ otherwise.
    """
    if other.ndim == one.ndim + 1 and other.shape[-1] == 1:
        other = other[..., 0]
    if one.shape != other.shape:
        raise ValueError(f"maps of the shapes {one.shape} and {other.shape} do not compare.")
    return one.astype(np.float64), other.astype(np.float64)


def channels_last(maps: np.ndarray) -> np.ndarray:
    """Bring a peer's maps ``(n, c, *space)`` to ``(n, *space, c)``; maps without channels stay."""
    return np.moveaxis(maps, 1, -1) if maps.ndim >= 4 else maps
