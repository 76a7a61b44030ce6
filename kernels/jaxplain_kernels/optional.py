"""What is used where it is installed: jaxplain-native (kernels/native), convolutions and pooling on CPUs."""

from functools import cache
from importlib import import_module
from typing import Any


@cache
def native() -> tuple[Any, str]:
    """Return the module, or None and why it is not there. It is looked up by name: nothing here needs it."""
    try:
        module = import_module("jaxplain_native")
        module.onednn_version()
    except ModuleNotFoundError:
        return None, "jaxplain-native is not installed; `make native` builds it"
    except (ImportError, OSError, AttributeError) as error:  # built for another system, or half installed
        return None, f"jaxplain-native does not load: {error}"
    return module, ""
