"""Sources of images: arrays, ``.npy``, ``.npz``, IDX, folders, tar files, zarr; `open_source` takes any by address."""

from jaxplain.io.sources.arrays import ArraySource, array_source
from jaxplain.io.sources.base import Rows, Source
from jaxplain.io.sources.opening import open_source

__all__ = ["ArraySource", "Rows", "Source", "array_source", "open_source"]
