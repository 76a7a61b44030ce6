"""The device that computes."""

import jax


def device_kind() -> str:
    """Return the kind of the first device, such as "cpu" or "NVIDIA H100 80GB HBM3"."""
    return str(jax.devices()[0].device_kind)
