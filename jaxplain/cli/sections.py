"""The sections of a job file as frozen dataclasses: their fields are the keys, their defaults the defaults.

Paths in them are as written; ``jaxplain.cli.paths`` resolves them against the folder of the job file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxplain._errors import InputError
from jaxplain.core.maps import MapSteps, Pool, Scale, Sign
from jaxplain.engine.rounds import Stopping


@dataclass(frozen=True)
class ModelSection:
    """``[model]``: where the network comes from.

    Args:
        factory: "package.module:function", called with ``kwargs``; it returns a Linen module, an NNX module or a
            ``jaxplain.Model``. The folder of the job file is on the search path.
        kwargs: Keyword arguments of the factory.
        checkpoint: Weights: an orbax folder or a ``.safetensors`` file. A Linen module needs one.
        call: Keyword arguments of every call of the network, such as ``{train = false}``.
        method: Method of the module that is called instead of ``__call__``.
    """

    factory: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None


@dataclass(frozen=True)
class SourceSection:
    """``[source]``: where the images come from.

    Args:
        url: ``npz://``, ``npy://``, ``idx://``, ``folder://``, ``webdataset://`` or ``zarr://`` and a path, or the path
            alone.
        labels: Labels: a file (``.csv``, ``.npy``, IDX), or the key of an array beside the images.
        limit: Only the first so many images.
        threads: Threads that decode image files. By default half of the cores where the network runs on the same
            ones, else all but one, at most 16.
        index: Where the index of image files is kept, if not beside them, where it may be read-only.
    """

    url: str
    labels: str | None = None
    limit: int | None = None
    threads: int | None = None
    index: str | None = None


@dataclass(frozen=True)
class LabelsSection:
    """``[labels]``: what the labels are.

    Args:
        file: The same as ``source.labels``.
        names: Names of the classes, in the order of their numbers.
    """

    file: str | None = None
    names: tuple[str, ...] | None = None


Kind = Literal["predicted", "label", "logit", "logits"]
Of = Literal["logit", "prob", "logprob", "margin"]


@dataclass(frozen=True)
class TargetSection:
    """``[target]``: what is explained of the network's output.

    Args:
        kind: "predicted" (the highest output of each image), "label" (that of its label), "logit" (one output for
            all images) or "logits" (several at once).
        of: What is read of that class; "logits" are read as they are.
        index: The class of kind "logit".
        indices: The classes of kind "logits".
    """

    kind: Kind = "predicted"
    of: Of = "logit"
    index: int | None = None
    indices: Literal["all"] | tuple[int, ...] = "all"


@dataclass(frozen=True)
class AggregateSection:
    """``[aggregate]``: how maps become global maps.

    Args:
        sign: "signed", "positive" or "absolute".
        pool: How channels become one: "sum", "mean", "max" or "norm".
        scale: "none", "max", "mass", "p99" (per map), "dataset_max" or "dataset_p99".
        select: Which images belong to a label: "true", "predicted", "true_and_predicted" or "all".
        exclude: Labels, by name or number, that stay out of the macro map.
    """

    sign: Sign = MapSteps.sign
    pool: Pool = MapSteps.pool
    scale: Scale = MapSteps.scale
    select: Literal["true", "predicted", "true_and_predicted", "all"] = "true"
    exclude: tuple[str | int, ...] = ()

    @property
    def steps(self) -> MapSteps:
        """The steps from a raw map to a map of importance."""
        return MapSteps(self.sign, self.pool, self.scale)


@dataclass(frozen=True)
class MethodSection:
    """``[methods.<name>]``: one method.

    Args:
        name: Its name in the store.
        method: Its name in the registry.
        keywords: Context and knobs as written.
        stopping: When sampling stops: the method's own ``tolerance`` and ``budget``, or the job's; None for neither.
    """

    name: str
    method: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    stopping: Stopping | None = None


@dataclass(frozen=True)
class PlanSection:
    """``[plan]``: what is asked of the plan; what is left out is chosen.

    Args:
        memory: Budget of one step on each device, such as "2GiB".
        batch: Images per compiled step, rounded up to a multiple of the devices.
        chunk: Samples evaluated together.
        precision: "exact", "fast" (the device's default) or "bf16".
        rows_per_shard: Images per shard.
        store: How maps are kept: "float16" with a scale per map, "float32", or "none".
        together: Whether methods without samples share one program with the clean pass.
        devices: How many of the local devices share out a batch; all by default.
        coarse: Whether maps that end in an upsampling (CAMs, rollouts) are stored without it, at the resolution of
            their layer, and upsampled when they are read.
    """

    memory: str | int = "2GiB"
    batch: int | None = None
    chunk: int | None = None
    precision: Literal["exact", "fast", "bf16"] = "fast"
    rows_per_shard: int | None = None
    store: Literal["float16", "float32", "none"] = "float16"
    together: bool = True
    devices: int | None = None
    coarse: bool = True


@dataclass(frozen=True)
class RunSection:
    """``[run]``: how a job is worked on; nothing here changes a result.

    Args:
        compile_cache: Where compiled programs are kept for the next job: "auto" for the user's cache folder, a folder,
            or "off". A cache that was set up in JAX itself is used as it is.
    """

    compile_cache: str = "auto"

    def __post_init__(self) -> None:
        if not self.compile_cache.strip():
            raise InputError('run.compile_cache is empty; name a folder, or write "auto" or "off".')


@dataclass(frozen=True)
class PepprSection:
    """``[peppr]``: the sweeps that test global maps.

    Args:
        methods: Names of the methods whose global maps are ranked; all by default.
        groups: Groups, or patterns of them: "overall/macro", "label/*", "prediction/3".
        steps: Fractions of the pixels, rising from 0 to 1, or a number of equal steps; by default finer where few
            pixels are taken.
        baseline: What an erased pixel shows: "mean-image" (or "mean"), "channel-mean" (both of the images swept),
            "blur", "noise", a number, one number per channel or a ``.npy`` file.
        images: How many images are swept, chosen by the seed; all by default.
        resamples: Bootstrap resamples; 0 for no intervals.
        controls: Number of random orders, at least 10; distance from the center and energy of the mean image are added.
        coarse: How a map coarser than the images is ranked: "native" or "bilinear".
        level: Coverage of the intervals.
        threshold: Score above which a label counts as predicted, where images have several labels.
        batch: Images per compiled step.
    """

    methods: tuple[str, ...] | None = None
    groups: tuple[str, ...] = ("overall/*", "label/*")
    steps: int | tuple[float, ...] | None = None
    baseline: Any = "mean-image"
    images: int | None = None
    resamples: int = 1000
    controls: int = 10
    coarse: Literal["native", "bilinear"] = "native"
    level: float = 0.95
    threshold: float = 0.0
    batch: int = 64

    def __post_init__(self) -> None:
        least = {"images": 1, "resamples": 0, "controls": 10, "batch": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"peppr.{name} = {value} must be at least {low}.")
        kind = self.baseline.get("kind") if isinstance(self.baseline, Mapping) else self.baseline
        if kind == "noisy-linear":
            raise InputError(
                "peppr.baseline: 'noisy-linear' depends on what is hidden, which no curve takes; write another."
            )
        if not 0 < self.level < 1:
            raise InputError(f"peppr.level = {self.level} must lie between 0 and 1.")
        if isinstance(self.steps, int) and self.steps < 2:
            raise InputError(f"peppr.steps = {self.steps} must be at least 2, or a list of fractions.")
