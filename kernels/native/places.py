"""Print for CMake where jaxlib's FFI headers and oneDNN lie: headers; headers; library; folder of its licenses."""

from importlib.metadata import distribution
from pathlib import Path

import jaxlib


def located(package: str, ending: str) -> Path:
    """Return the file of an installed package whose name ends so, wherever its installation scheme put it."""
    for file in distribution(package).files or ():
        if str(file).endswith(ending) and Path(str(file.locate())).exists():
            return Path(str(file.locate())).resolve()
    raise SystemExit(f"{package} has no {ending}")


header = located("onednn-devel-cpu-gomp", "include/oneapi/dnnl/dnnl.hpp")
library = located("onednn-cpu-gomp", "libdnnl.so.3")
license_file = located("onednn-cpu-gomp", "share/doc/onednn/LICENSE")
places = [Path(jaxlib.__file__).parent / "include", header.parents[2], library, license_file.parent]
print(";".join(map(str, places)))
