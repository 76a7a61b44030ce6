"""What describes one call: sizes and settings as integers, and how its work is cut into tasks."""

import os
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from jaxplain_native.library import plan

FORWARD, PULL_BACK = 0, 1
BIAS, ADDEND, RELU, SCALE, MASK = 1, 2, 4, 8, 16
FEWEST_OPERATIONS = 1 << 23
"""Multiplications and additions of one task, below which tasks are joined rather than cut: some 60 microseconds."""
TASKS_PER_THREAD = 4

Ints = tuple[int, ...]


class Geometry(NamedTuple):
    """One convolution, or its input gradient, of a batch; channels last.

    Args:
        direction: ``FORWARD`` or ``PULL_BACK``.
        groups: Groups of channels that do not mix.
        batch: Images.
        images: Images of one task; divides the batch.
        bands: Bands of rows into which an image is cut; 1 unless ``images`` is 1.
        channels_in: Channels of x.
        channels_out: Channels of y.
        extras: What else is done, by bits: forward ``SCALE``, ``BIAS``, ``ADDEND`` and ``RELU``, pulling back ``MASK``
            and ``SCALE``.
        space_in: Positions of x along each axis.
        space_out: Positions of y along each axis.
        kernel: Positions of the kernel along each axis.
        strides: Steps of the window.
        low: Padding before.
        high: Padding after.
        dilation: Steps within the window.
    """

    direction: int
    groups: int
    batch: int
    images: int
    bands: int
    channels_in: int
    channels_out: int
    extras: int
    space_in: Ints
    space_out: Ints
    kernel: Ints
    strides: Ints
    low: Ints
    high: Ints
    dilation: Ints

    def numbers(self) -> Ints:
        """Return the list of integers that the library reads; see ``geometry.h``."""
        heads, lists = self[:8], self[8:]
        return (*heads, len(self.kernel), *(number for one in lists for number in one))

    @property
    def operations(self) -> int:
        """Multiplications and additions per image."""
        return 2 * prod(self.space_out) * prod(self.kernel) * self.channels_in * self.channels_out // self.groups

    @property
    def x_shape(self) -> Ints:
        """The shape of the convolution's input."""
        return (self.batch, *self.space_in, self.channels_in)

    @property
    def y_shape(self) -> Ints:
        """The shape of the convolution's output."""
        return (self.batch, *self.space_out, self.channels_out)


def geometry_of(
    x_shape: Sequence[int], weights_shape: Sequence[int], spec: Any, direction: int, extras: int = 0
) -> Geometry:
    """Return the geometry of a convolution whose settings are those of ``lax.conv_general_dilated``.

    Args:
        x_shape: The input, (batch, *space, channels).
        weights_shape: The weights, (*space, channels per group, features).
        spec: The settings, by the names of the equation's parameters.
        direction: ``FORWARD`` or ``PULL_BACK``.
        extras: What else is done.
    """
    batch, *space_in, channels_in = (int(size) for size in x_shape)
    *kernel, _, channels_out = (int(size) for size in weights_shape)
    low, high = zip(*spec.padding, strict=True)
    space_out = [
        (size + before + after - (width - 1) * spread - 1) // step + 1
        for size, before, after, width, spread, step in zip(
            space_in, low, high, kernel, spec.rhs_dilation, spec.window_strides, strict=True
        )
    ]
    return Geometry(
        direction,
        getattr(spec, "feature_group_count", 1),
        batch,
        1,
        1,
        channels_in,
        channels_out,
        extras,
        tuple(space_in),
        tuple(space_out),
        tuple(kernel),
        tuple(spec.window_strides),
        tuple(low),
        tuple(high),
        tuple(spec.rhs_dilation),
    )


def shared_out(geometry: Geometry, threads: int | None = None) -> Geometry:
    """Cut the work into tasks: several per thread, so that no thread waits long, and none too small.

    Small images are joined, large ones of a small batch cut into bands of rows. How work is cut does not change what is
    summed in which order within an entry of the result.

    Args:
        geometry: The call; its images and bands are not looked at.
        threads: Threads to provide for; by default one per CPU of this process, as XLA has them.
    """
    wanted = TASKS_PER_THREAD * (threads or len(os.sched_getaffinity(0)))
    batch, operations = geometry.batch, max(geometry.operations, 1)
    joined = max(min(batch // wanted, FEWEST_OPERATIONS // operations), 1)
    images = max(size for size in range(1, joined + 1) if batch % size == 0)
    rows = geometry.space_out[0] if geometry.direction == FORWARD else geometry.space_in[0]
    bands = min(-(-wanted // batch), operations // FEWEST_OPERATIONS, rows) if images == 1 else 1
    while bands > 1:
        cut = geometry._replace(images=1, bands=bands)
        if plan(cut.numbers())[0] >= 0:
            return cut
        bands //= 2
    return geometry._replace(images=images, bands=1)
