"""Where Mosaic runs, the compiler of Pallas kernels, and how its kernels are tried without a device."""

from inspect import Parameter, signature
from typing import Any

import jax

from jaxplain_kernels.choice import present

HOPPER = 9.0
"""Compute capability of the first GPUs that Mosaic compiles for."""


def no_mosaic(platform: str) -> str:
    """Return why Mosaic kernels cannot run on a platform, or ``""``; other devices than the present are trusted."""
    if platform == "tpu":
        return ""
    if platform != "cuda":
        return "its kernel needs a TPU or an NVIDIA GPU"
    if present() == "cuda" and float(jax.devices()[0].compute_capability) < HOPPER:
        found = jax.devices()[0].compute_capability
        return f"its kernel needs a GPU of compute capability {HOPPER} or later, this one has {found}"
    return ""


def gpu_interpreter() -> Any:
    """Return what ``mosaic_gpu.kernel`` takes as ``interpret`` to run on the CPU.

    Public from JAX 0.11 on; 0.10 has the same under a private name.
    """
    from jax.experimental.pallas import mosaic_gpu

    if not hasattr(mosaic_gpu, "InterpretGPUParams"):
        from jax._src.pallas.mosaic_gpu.interpret import params

        return params.InterpretGPUParams()
    return mosaic_gpu.InterpretGPUParams()


def gpu_load(part: Any, layout: Any) -> jax.Array:
    """Read a part ``ref.at[...]`` of a GPU's memory into registers laid out in any way, by narrow loads where needed.

    JAX 0.10 wants the index beside the reference; 0.11 warns of it.
    """
    from jax.experimental.pallas import mosaic_gpu

    beside = signature(mosaic_gpu.load).parameters["idx"].default is Parameter.empty
    found: jax.Array = mosaic_gpu.load(part, *([None] if beside else []), layout=layout, optimized=False)
    return found
