"""Reference networks with random weights that a name and a seed fix, on every machine and in every version.

Each tensor is drawn from a stream of its own, keyed by its canonical name, so a PyTorch network can be given the same
weights. Uniform values from the raw words of a PCG64 generator, whose stream NumPy guarantees: convolutions and dense
layers with He's variance ``2 / fan_in`` (the last one ``1 / fan_in``), norms and statistics around one and zero.

He, Zhang, Ren and Sun 2015, Delving deep into rectifiers, arXiv:1502.01852.
"""

import math
import re
import zlib

import numpy as np

from jaxplain._errors import InputError
from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model
from jaxplain.models.architecture import Architecture
from jaxplain.models.architectures import find_architecture
from jaxplain.models.checkpoint import tensor_shapes, variables_from


def random_network(
    name: str, *, classes: int | None = None, seed: int = 0, input_shape: tuple[int, ...] | None = None
) -> Model:
    """Return a reference network with random weights: for tests, benchmarks and as a job's factory.

    Args:
        name: A name of `jaxplain.models.ARCHITECTURES`.
        classes: Outputs; by default those of the published weights.
        seed: Of the weights, at least 0.
        input_shape: Of one example, where the parameters depend on it (position embeddings); by default the published
            one.

    Raises:
        InputError: The architecture is unknown.

    Example:
        >>> network = random_network("resnet18", classes=5)
        >>> jax.eval_shape(network, jax.ShapeDtypeStruct((2, 64, 64, 3), np.float32)).shape
        (2, 5)
    """
    architecture = find_architecture(name, where="random_network")
    variables = architecture.variables(classes, input_shape)
    tensors = random_tensors(architecture, tensor_shapes(variables), seed)
    return from_linen(architecture.module(classes), variables_from(variables, tensors))


def random_tensors(
    architecture: Architecture, shapes: dict[str, tuple[int, ...]], seed: int = 0
) -> dict[str, np.ndarray]:
    """Return random tensors of the given shapes, as PyTorch has them, by their canonical names.

    Args:
        architecture: Tells the last layer, and what ends a residual branch.
        shapes: By canonical name, as `jaxplain.models.checkpoint.tensor_shapes` returns them.
        seed: At least 0.
    """
    if seed < 0:
        raise InputError(f"random_network: seed must not be negative, got {seed}.")
    return {name: _random_tensor(architecture, name, shape, seed) for name, shape in shapes.items()}


def _random_tensor(architecture: Architecture, name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    center, spread = _law(architecture, name, shape)
    size = math.prod(shape)
    words = np.random.PCG64([seed, zlib.crc32(name.encode())]).random_raw((size + 1) // 2).astype("<u8").view("<u4")
    unit = words[:size].astype(np.float32) * np.float32(2.0**-31) - np.float32(1)
    return (np.float32(center) + np.float32(spread) * unit).reshape(shape)


def _law(architecture: Architecture, name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return the center and the half width of a tensor's uniform law."""
    word = name.rpartition(".")[2]
    quiet = architecture.quiet is not None and re.search(architecture.quiet, name) is not None
    if quiet:
        return 0.0, 0.3
    if word == "running_var":
        return 1.0, 0.5
    if word.endswith("weight") and len(shape) == 1:
        return 1.0, 0.2
    if word.endswith("weight"):
        variance = (1.0 if name == f"{architecture.head}.weight" else 2.0) / math.prod(shape[1:])
        return 0.0, math.sqrt(3 * variance)
    return 0.0, 0.2
