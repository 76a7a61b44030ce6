"""Imports point one way: read from the syntax trees, and tried in a fresh process."""

import ast
import subprocess
import sys

import pytest

from tests.sources import ROOT, Source, sources

BASE = {"_typing", "_pytree", "_errors", "_knobs", "_registry", "_wrapping", "_compat"}
MIDDLE = {"methods", "metrics", "aggregate", "adapters", "synthetic", "training"}
TOP = {"models", "plots", "cli", "testing"}
BELOW_ENGINE = BASE | {"core", "graph", "io"} | MIDDLE

# What a part may import besides itself.
MAY_IMPORT: dict[str, set[str]] = {
    "kernels": set(),
    **{part: BASE for part in BASE},
    "core": BASE,
    "graph": BASE | {"core"},
    **{part: BASE | {"core", "graph"} for part in MIDDLE},
    "io": {"_typing", "_errors"},
    "engine": BELOW_ENGINE,
    **{part: BELOW_ENGINE | {"engine"} for part in TOP},
}
MAY_IMPORT["cli"] |= {"models", "plots"}  # the command line is the outermost part

# Packages from outside that only some parts, or one file, may touch.
ONLY_IN: dict[str, set[str]] = {
    "tensorstore": {"jaxplain.io.storage"},
    "matplotlib": {"jaxplain.plots"},
    "rich": {"jaxplain.cli"},
    "flax": {"jaxplain.adapters", "jaxplain.models", "jaxplain.training", "jaxplain.testing"},
}
KERNELS_DOORWAY = "jaxplain.core.ops"


def within(name: str, places: set[str]) -> bool:
    """Whether a module is one of the places, or lies inside one."""
    return any(name == place or name.startswith(place + ".") for place in places)


def breaches(source: Source) -> list[str]:
    """The imports of one module that point the wrong way."""
    found = []
    for target, line in source.imports().items():
        where = f"{source.path.relative_to(ROOT)}:{line} imports {target}"
        package, _, rest = target.partition(".")
        if package == "jaxplain":
            part = rest.partition(".")[0]
            if source.part == "":  # the package's front: names of all parts, imported on first use
                continue
            if not part or part not in MAY_IMPORT:
                found.append(f"{where}: name the module that it comes from")
            elif part != source.part and part not in MAY_IMPORT[source.part]:
                found.append(f"{where}: {source.part} may not import {part}")
        elif package == "jaxplain_kernels":
            if source.part != "kernels" and source.name != KERNELS_DOORWAY:
                found.append(f"{where}: only {KERNELS_DOORWAY} opens the kernels")
        elif package in ONLY_IN and not within(source.name, ONLY_IN[package]):
            found.append(f"{where}: only {', '.join(sorted(ONLY_IN[package]))} may")
        elif source.part == "io" and package in {"jax", "jaxlib"}:
            found.append(f"{where}: reading and writing need no JAX")
        elif source.part == "kernels" and package not in {"jax", "jaxtyping"} | sys.stdlib_module_names:
            found.append(f"{where}: the kernels import JAX only")
        if source.part == "engine" and target.endswith(".StoreSink"):
            found.append(f"{where}: the engine knows the protocol, no concrete sink")
    return found


def test_every_part_has_its_place():
    unplaced = {source.part for source in sources()} - {"", *MAY_IMPORT}
    assert not unplaced, f"parts without a line in MAY_IMPORT: {unplaced}"


def test_imports_point_one_way():
    wrong = [breach for source in sources() for breach in breaches(source)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("jaxplain.core.masks", "import jaxplain.graph.trace", "core may not import graph"),
        ("jaxplain.methods.lime", "from jaxplain.metrics import infidelity", "methods may not import metrics"),
        ("jaxplain.methods.lime", "from ..metrics.infidelity import x", "methods may not import metrics"),
        ("jaxplain.graph.taps", "from jaxplain_kernels import rank", "only jaxplain.core.ops opens"),
        ("jaxplain.io.sink", "import tensorstore as ts", "only jaxplain.io.storage may"),
        ("jaxplain.io.sink", "def f():\n    import jax.numpy", "need no JAX"),
        ("jaxplain.engine.run", "from jaxplain.io.sink import StoreSink", "no concrete sink"),
        ("jaxplain.engine.run", "from jaxplain.cli import main", "engine may not import cli"),
        ("jaxplain.core.masks", "import jaxplain", "name the module"),
    ],
)
def test_a_wrong_import_is_found(name, text, word):
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    assert any(word in breach for breach in breaches(Source(name, path, ast.parse(text))))


def test_importing_the_package_is_light():
    """Neither flax nor tensorstore, matplotlib, orbax or rich: those come with the first use of what needs them."""
    heavy = ("flax", "tensorstore", "matplotlib", "orbax", "rich", "optax", "PIL")
    program = f"import sys, jaxplain; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
