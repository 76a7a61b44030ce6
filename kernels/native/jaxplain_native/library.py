"""The compiled half: loaded once, its calls registered with XLA, and asked what it can do."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import jax

PACK, CONVOLVE = "jaxplain_native_pack", "jaxplain_native_convolve"
POOL, SEND_BACK = "jaxplain_native_pool", "jaxplain_native_send_back"


@cache
def library() -> ctypes.CDLL:
    """Load the library and register its calls, on first use."""
    found = ctypes.CDLL(str(Path(__file__).with_name("libjaxplain_native.so")))
    found.jaxplain_native_plan.restype = ctypes.c_int64
    found.jaxplain_native_plan.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64]
    found.jaxplain_native_onednn.restype = ctypes.c_char_p
    for name in (PACK, CONVOLVE, POOL, SEND_BACK):
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(found, name)), platform="cpu")
    return found


@cache
def plan(geometry: tuple[int, ...]) -> tuple[int, str]:
    """Return the length of the packed weights and the name of oneDNN's implementation; or -1 and why there is none."""
    values = (ctypes.c_int64 * len(geometry))(*geometry)
    text = ctypes.create_string_buffer(256)
    length = library().jaxplain_native_plan(values, len(geometry), text, len(text))
    return length, text.value.decode()


def call(name: str, results: Any, *operands: jax.Array, geometry: Any) -> Any:
    """Call the library; inside ``shard_map`` what comes back varies over the mesh's axes as the operands do."""
    library()
    found = jax.ffi.ffi_call(name, results)(*operands, geometry=geometry)
    kinds = [getattr(jax.typeof(operand), "mat", None) for operand in operands]  # JAX 0.10 and 0.11 name it so
    over = tuple(sorted(set().union(*(kind.varying for kind in kinds if kind is not None))))
    return jax.tree.map(lambda one: jax.lax.pcast(one, over, to="varying"), found) if over else found


def onednn_version() -> str:
    """Return the version of the oneDNN that is in use, such as "3.2.0"."""
    return library().jaxplain_native_onednn().decode()
