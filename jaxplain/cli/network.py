"""The network of a job: what its factory returned, with the weights of the checkpoint."""

import hashlib
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import PyTree
from jaxplain.adapters.fit import load_checkpoint
from jaxplain.adapters.linen import from_linen
from jaxplain.adapters.nnx import from_nnx
from jaxplain.cli.factory import call_factory, first_line
from jaxplain.cli.paths import resolved
from jaxplain.cli.sections import ModelSection
from jaxplain.core.model import Model
from jaxplain.io.input import Input
from jaxplain.models.loading import Pretrained
from jaxplain.models.preprocessing import Preprocessing


def build_network(section: ModelSection, folder: Path, where: str, shape: tuple[int, ...], pixels: Input) -> Model:
    """Make the model of a job.

    Args:
        section: The job's ``[model]``.
        folder: The folder of the job file.
        where: The job file, for messages.
        shape: Shape of one image as it reaches the network.
        pixels: The job's ``[input]``, which must normalize for a network that comes with its preprocessing.

    Raises:
        InputError: The factory fails, the checkpoint is missing or does not fit, or the images do not.
    """
    made = call_factory(section.factory, section.kwargs, folder, where)
    if isinstance(made, Pretrained):
        _check_normalized(made.preprocessing, pixels, where)
        made = made.model
    kind = _kind(made)
    if kind == "model" and (section.call or section.method):
        raise InputError(
            f"{where}: model.call and model.method suit modules; {section.factory} returns a finished model, "
            "leave them out."
        )
    call: dict[str, Any] = {**section.call, **({"method": section.method} if section.method else {})}
    if kind == "linen":
        if section.checkpoint is None:
            raise InputError(
                f"{where}: model.checkpoint is missing: {section.factory} returns a Linen module without weights; "
                "name an orbax folder or a .safetensors file, or return jaxplain.from_linen(module, variables)."
            )
        template = _linen_variables(made, call, shape, where)
        return from_linen(made, _loaded(section.checkpoint, template, folder, where), **call)
    if kind == "nnx":
        made = from_nnx(made, **call)
    elif kind != "model":
        raise InputError(
            f"{where}: model.factory {section.factory} returned a {type(made).__name__}; return a Linen module, "
            "an NNX module, a jaxplain.Model (jaxplain.from_function makes one of anything) or what "
            "jaxplain.models.load returns."
        )
    if section.checkpoint is None:
        return made
    return Model(_loaded(section.checkpoint, made.params, folder, where), made.apply)


def outputs_of(model: Model, shape: tuple[int, ...], where: str) -> PyTree:
    """Return the shapes and dtypes of one image's outputs, the network only traced.

    Raises:
        InputError: The network cannot take the images.
    """
    try:
        outputs = jax.eval_shape(model.__call__, jax.ShapeDtypeStruct((1, *shape), np.float32))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except Exception as error:
        raise InputError(
            f"{where}: the network cannot take float32 images of shape {shape}: {type(error).__name__}: "
            f"{first_line(error)}; check [input] and model.kwargs (--debug shows where it fails)."
        ) from error
    if any(not leaf.shape or leaf.shape[0] != 1 for leaf in jax.tree.leaves(outputs)):
        shapes = [leaf.shape for leaf in jax.tree.leaves(outputs)]
        raise InputError(f"{where}: one image gives outputs of shape {shapes}; the first axis must be the batch.")
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), outputs)


def fingerprint(params: PyTree) -> str:
    """Return a hash over the parameters: names, shapes, dtypes and values, wherever they were loaded from."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        values = np.ascontiguousarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)}{values.dtype}{values.shape}".encode())
        total.update(values.reshape(-1).view(np.uint8).data)
    return total.hexdigest()[:32]


def _check_normalized(preprocessing: Preprocessing, pixels: Input, where: str) -> None:
    """Refuse weights trained on normalized images for images that nothing normalizes: the logits would mean nothing."""
    if preprocessing.mean and not pixels.mean and pixels.divisor != 1:
        raise InputError(
            f"{where}: the network of [model] was trained on normalized images, and [input] has no mean and std; write "
            f"what follows, or divisor = 1 for pixels that are normalized already.\n{preprocessing.lines()}"
        )


def _kind(made: Any) -> str:
    """Tell what a factory returned, without importing a framework."""
    if isinstance(made, Model):
        return "model"
    homes = [base.__module__ for base in type(made).__mro__]
    for kind in ("linen", "nnx"):
        if any(home.startswith(f"flax.{kind}") for home in homes):
            return kind
    return ""


def _linen_variables(module: Any, call: dict[str, Any], shape: tuple[int, ...], where: str) -> PyTree:
    def init(x: Any) -> Any:
        keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
        return module.init(keys, x, **call)

    try:
        return jax.eval_shape(init, jax.ShapeDtypeStruct((1, *shape), np.float32))
    except Exception as error:
        raise InputError(
            f"{where}: the module cannot take float32 images of shape {shape}: {type(error).__name__}: "
            f"{first_line(error)}; check [input], model.kwargs and model.call (--debug shows where it fails)."
        ) from error


def _loaded(checkpoint: str, template: PyTree, folder: Path, where: str) -> PyTree:
    path = resolved(folder, checkpoint)
    if not os.path.exists(path):
        raise InputError(f"{where}: model.checkpoint {path} does not exist; check the path.")
    try:
        return load_checkpoint(path, template)
    except InputError as error:
        raise InputError(f"{where}: model.checkpoint: {error}") from error
