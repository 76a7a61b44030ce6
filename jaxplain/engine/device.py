"""The device that computes."""

import jax

from jaxplain.core.ops import native_library


def device_kind() -> str:
    """Return the kind of the first device, such as "cpu" or "NVIDIA H100 80GB HBM3".

    Where a native library computes on CPUs, its name and version follow: on the same processor results differ in their
    rounding, as they do on other hardware.
    """
    kind = str(jax.devices()[0].device_kind)
    library = native_library() if jax.default_backend() == "cpu" else ""
    return f"{kind} with {library}" if library else kind
