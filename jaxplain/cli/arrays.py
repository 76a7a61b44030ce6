"""Arrays that a job names: ``.npy`` files, and what stands for their content in the store."""

import hashlib

import numpy as np

from jaxplain._errors import InputError


def load_array(path: str, where: str) -> np.ndarray:
    """Return the array of a ``.npy`` file.

    Args:
        path: The file.
        where: The job file and the key, for messages.

    Raises:
        InputError: There is none.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError:
        raise InputError(f"{where}: {path} does not exist; check the path.") from None
    except ValueError as error:
        raise InputError(f"{where}: {path} is no .npy array ({error}); save it with numpy.save.") from error


def sha256(array: np.ndarray) -> str:
    """Return the digest of an array's bytes, in its dtype."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def labels_spec(labels: np.ndarray) -> dict[str, object]:
    """Return the JSON value that stands for a map of whole numbers: shape and digest."""
    return {"shape": list(labels.shape), "sha256": sha256(labels.astype(np.int32))}
