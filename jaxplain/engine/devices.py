"""Several devices: each runs the same program on its share of the images of a batch.

Parameters and whatever all images share are kept whole on every device; what belongs to images is cut along its first
axis. Examples do not know of each other, so nothing is ever sent from one device to another. With one device none of
this comes into play: its programs are those of a machine that has no other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxplain._compat import shard_map
from jaxplain._errors import InputError
from jaxplain._typing import PyTree

IMAGES = "image"
"""Name of the mesh's one axis."""
_WHOLE, _CUT = PartitionSpec(), PartitionSpec(IMAGES)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Devices:
    """The devices that share out a batch; part of every program, compared by value.

    Args:
        mesh: Two or more devices along one axis; None for one device, which is JAX's own choice.
    """

    mesh: Mesh | None = None

    @classmethod
    def local(cls, count: int | None = None) -> "Devices":
        """Return the devices of this process, or its first ``count``.

        Raises:
            InputError: There are not so many.
        """
        found = jax.local_devices()
        if count is not None and not 1 <= count <= len(found):
            raise InputError(
                f"devices = {count}, but this process has {len(found)} ({found[0].device_kind}); choose 1 to "
                f"{len(found)}, or leave it out for all."
            )
        chosen = found[:count]
        return cls() if len(chosen) == 1 else cls(Mesh(np.array(chosen), (IMAGES,), axis_types=(AxisType.Auto,)))

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 if self.mesh is None else self.mesh.size

    def whole(self, tree: PyTree) -> PyTree:
        """Put arrays that all images share on every device."""
        return jax.device_put(tree, None if self.mesh is None else NamedSharding(self.mesh, _WHOLE))

    def cut(self, tree: PyTree) -> PyTree:
        """Put arrays whose first axis is the batch on the devices, to each its share."""
        return jax.device_put(tree, None if self.mesh is None else NamedSharding(self.mesh, _CUT))

    def cut_shapes(self, tree: PyTree) -> PyTree:
        """Return the shapes of such arrays, with the place that `cut` gives them, to compile a program for."""
        if self.mesh is None:
            return tree
        place = NamedSharding(self.mesh, _CUT)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree)

    def share_out(self, act: Callable[[Any, Any], Result], shared: PyTree, per_image: PyTree) -> Result:
        """Call ``act(shared, per_image)`` on every device with its share of the images; for use under ``jit``.

        Args:
            act: Returns a tree of arrays with the images first.
            shared: What all images share.
            per_image: Arrays with the images first, a multiple of the number of devices.
        """
        if self.mesh is None:
            return act(shared, per_image)
        shares: Callable[[Any, Any], Result] = shard_map(act, self.mesh, (_WHOLE, _CUT), _CUT)
        return shares(shared, per_image)


ONE_DEVICE = Devices()
