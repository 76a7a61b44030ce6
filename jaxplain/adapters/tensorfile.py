"""Tensors by name from a ``.safetensors`` file, as NumPy arrays."""

from pathlib import Path

import numpy as np

from jaxplain._errors import InputError

_OF_NUMPY = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64"}


def read_safetensors(path: str | Path, *, where: str = "checkpoint") -> dict[str, np.ndarray]:
    """Read all tensors of a file, in the types in which they are stored.

    Args:
        path: A ``.safetensors`` file. No other format is read: pickled files may run code.
        where: What messages begin with.

    Returns:
        The arrays by name; types that NumPy lacks, such as bfloat16, are those of ``ml_dtypes``.

    Raises:
        InputError: There is no such file, it is no whole safetensors file, or the package is not installed.
    """
    place = Path(path).absolute()
    if not place.exists():
        raise InputError(f"{where}: {place} does not exist; check the path of the .safetensors file.")
    if place.is_dir():
        raise InputError(f"{where}: {place} is a folder; pass the .safetensors file itself.")
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise InputError(
            f"{where}: reading {place} needs the package safetensors: pip install 'jaxplain[safetensors]'"
        ) from error
    try:
        with safe_open(place, framework="numpy") as file:
            names = list(file.keys())
            kinds = {name: file.get_slice(name).get_dtype() for name in names}
            found = {name: file.get_tensor(name) for name, kind in kinds.items() if kind in _OF_NUMPY}
        with safe_open(place, framework="flax") as file:
            found |= {name: np.asarray(file.get_tensor(name)) for name in kinds if name not in found}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{where}: {place} is not a whole .safetensors file ({error}); copy it again, or convert other formats in "
            "PyTorch: safetensors.torch.save_file(network.state_dict(), path)."
        ) from error
    return found
