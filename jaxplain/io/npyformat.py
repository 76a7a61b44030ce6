"""The ``.npy`` format, numbers only: headers that are judged before anything is allocated, and never an object."""

import math
from typing import IO

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.damage import naming_damage

REMEDY = "save it again with numpy.save"


def read_header(file: IO[bytes], where: str, remedy: str = REMEDY) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read a header and return shape, whether the order is Fortran's, and dtype.

    Raises:
        InputError: Not a header, or not of numbers.
    """
    with naming_damage(where, "a .npy array", remedy):
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{where}: .npy format {version} is not read here; {remedy}.")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    if dtype.kind not in "biuf":
        raise InputError(f"{where}: expected numbers, got dtype {dtype}; objects and pickle are never loaded.")
    if not shape or min(shape) < 0:
        raise InputError(f"{where}: expected an array with rows, got shape {shape}.")
    return shape, fortran, dtype


def read_whole(file: IO[bytes], size: int, where: str, remedy: str = REMEDY) -> np.ndarray:
    """Read a whole array, header included, of which ``size`` bytes are promised.

    Raises:
        InputError: The header declares another size than what is there.
    """
    shape, fortran, dtype = read_header(file, where, remedy)
    declared = math.prod(shape) * dtype.itemsize
    if declared > size:
        raise InputError(f"{where}: truncated, {declared} bytes are declared and {size} there; {remedy}.")
    raw = file.read(declared)
    if len(raw) < declared or file.read(1):
        raise InputError(f"{where}: {declared} bytes are declared, another number is there; {remedy}.")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
