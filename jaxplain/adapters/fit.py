"""Checkpoints: reading them, and telling which leaf does not fit the network.

A leaf's name joins the keys on the way to it by ``/``: ``params/Conv_0/kernel``. In a file the names may be joined by
``.`` instead, and a file of bare parameters fits variables whose only collection is ``params``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import PyTree
from jaxplain.adapters.tensorfile import read_safetensors

_SHOWN = 5


def check_tree(template: PyTree, loaded: PyTree, *, where: str = "checkpoint") -> None:
    """Compare a loaded tree with the tree that a network needs.

    Args:
        template: What the network needs: arrays or ``jax.ShapeDtypeStruct``.
        loaded: What was found.
        where: What the message begins with, for example the file.

    Raises:
        InputError: A leaf is missing, unexpected, or of another shape or dtype; the first such leaves are named.
    """
    _check(_named(template), _named(loaded), where)


def load_checkpoint(path: str | Path, template: PyTree) -> PyTree:
    """Load parameters from a checkpoint.

    Args:
        path: A directory that orbax wrote, the latest step in it where there are several, or a ``.safetensors`` file.
        template: The tree that the network needs: arrays or ``jax.ShapeDtypeStruct``, as ``jax.eval_shape`` of its
            initialization returns them.

    Returns:
        The template's tree with the checkpoint's arrays.

    Raises:
        InputError: There is no checkpoint, it cannot be read, or it does not fit the template.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"checkpoint: {place} does not exist; pass an orbax directory or a .safetensors file.")
    if place.suffix == ".safetensors":
        found: dict[str, Any] = dict(read_safetensors(place))
    elif place.is_dir():
        found = _read_orbax(place)
    else:
        raise InputError(f"checkpoint: {place} is neither a directory that orbax wrote nor a .safetensors file.")
    wanted = _named(template)
    found = _aligned(found, wanted)
    _check(wanted, found, str(place))
    return jax.tree.unflatten(jax.tree.structure(template), [jnp.asarray(found[name]) for name in wanted])


def _check(wanted: Mapping[str, Any], found: Mapping[str, Any], where: str) -> None:
    wrong = [f"{name}: missing, expected {_text(leaf)}" for name, leaf in wanted.items() if name not in found]
    wrong += [f"{name}: unexpected, {_text(leaf)}" for name, leaf in found.items() if name not in wanted]
    wrong += [
        f"{name}: expected {_text(leaf)}, found {_text(found[name])}"
        for name, leaf in wanted.items()
        if name in found and _text(leaf) != _text(found[name])
    ]
    if wrong:
        more = f"\n  ... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        listed = "\n  ".join(wrong[:_SHOWN])
        raise InputError(f"{where}: does not fit the network; pass the checkpoint of this network.\n  {listed}{more}")


def _named(tree: PyTree) -> dict[str, Any]:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _text(leaf: Any) -> str:
    return f"{jnp.result_type(leaf)}{list(np.shape(leaf))}"


def _aligned(found: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a file's names to the template's form."""
    slashed = {name.replace(".", "/"): name for name in wanted}
    result = {slashed.get(name.replace(".", "/"), name): value for name, value in found.items()}
    # NNX saves each variable as a tree of its own, whose array is called "value".
    if not set(result) & set(wanted):
        result = {name.removesuffix("/value"): value for name, value in result.items()}
    if not set(result) & set(wanted) and all(name.startswith("params/") for name in wanted):
        result = {f"params/{name.replace('.', '/')}": value for name, value in result.items()}
    return result


def _read_orbax(path: Path) -> dict[str, Any]:
    import orbax.checkpoint as orbax

    folder = _item(path.absolute())
    reader = orbax.PyTreeCheckpointer()
    try:
        shapes = reader.metadata(folder).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: orbax.RestoreArgs(restore_type=np.ndarray), shapes)
        tree = reader.restore(folder, restore_args=as_numpy)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"checkpoint: {path} is not a directory that orbax wrote as a whole ({error}).") from error
    finally:
        reader.close()
    return _named(tree)


def _item(path: Path) -> Path:
    """Return the folder of the tree itself: inside the latest step and its item, where a manager wrote them."""
    steps = [folder for folder in path.iterdir() if folder.is_dir() and folder.name.isdigit()]
    if steps and not (path / "_METADATA").exists():
        path = max(steps, key=lambda folder: int(folder.name))
    return path / "default" if (path / "default").is_dir() else path
