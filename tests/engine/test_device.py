"""The device's name tells what rounding depends on."""

import jax

from jaxplain.engine import device


def test_a_native_library_is_part_of_the_name(monkeypatch):
    kind = jax.devices()[0].device_kind
    monkeypatch.setattr(device, "native_library", lambda: "")
    assert device.device_kind() == kind
    monkeypatch.setattr(device, "native_library", lambda: "oneDNN 3.2.0")
    assert device.device_kind() == f"{kind} with oneDNN 3.2.0"
