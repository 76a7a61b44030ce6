"""What is known of a reference network: how to build it, what checkpoints call its tensors, how images reach it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import Preprocessing


@dataclass(frozen=True)
class Architecture:
    """One entry of `jaxplain.models.ARCHITECTURES`.

    Attributes:
        name: As torchvision calls it where it has the network, else as timm or the authors do.
        make: Returns the Linen module; called with ``classes=`` and a naming's options. The paths of its parameters
            are the names of the original network with ``/`` for dots.
        namings: By library (``"torchvision"``, ``"timm"``, ``"huggingface"``, ``"original"``): how its checkpoints
            call the tensors. Of namings that find equally many, the first is taken.
        preprocessing: By the same libraries: what the weights published there were evaluated with.
        input_shape: Of one example.
        classes: Outputs of the published weights.
        head: Canonical name of the last layer, whose ``weight`` has one row per class.
        positions: Canonical name of the tensor whose shape depends on ``input_shape``, such as position embeddings.
        quiet: Regular expression of the norms or scales (canonical names) that end a residual branch; random weights
            keep them small, so that a deep network's logits are of the order of one.
    """

    name: str
    make: Callable[..., nn.Module]
    namings: Mapping[str, Naming]
    preprocessing: Mapping[str, Preprocessing]
    input_shape: tuple[int, ...] = (224, 224, 3)
    classes: int = 1000
    head: str = "fc"
    positions: str | None = None
    quiet: str | None = None

    def module(self, classes: int | None = None, **options: Any) -> nn.Module:
        """Return the network with another number of outputs, or the published one."""
        return self.make(classes=self.classes if classes is None else classes, **options)

    def variables(self, classes: int | None = None, input_shape: tuple[int, ...] | None = None) -> Any:
        """Return the shapes of all variables, the network only traced."""
        module = self.module(classes)
        example = jax.ShapeDtypeStruct((1, *(input_shape or self.input_shape)), jnp.float32)
        return jax.eval_shape(module.init, jax.random.key(0), example)
