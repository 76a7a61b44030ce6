"""jaxplain: batched attribution for JAX models, from one array to hundreds of thousands of images.

Public names are imported on first use: ``import jaxplain`` alone pulls in neither flax nor tensorstore.
"""

import importlib
from typing import Any

_HOMES = {
    "Model": "core.model",
    "Score": "core.score",
    "ensemble": "core.ensembles",
    "Logit": "core.targets",
    "Logits": "core.targets",
    "LogProb": "core.targets",
    "Prob": "core.targets",
    "Margin": "core.targets",
    "Output": "core.targets",
    "ClassMask": "core.targets",
    "Region": "core.targets",
    "Point": "core.targets",
    "Predicted": "core.targets",
    "MapSteps": "core.maps",
    "InputError": "_errors",
    "from_linen": "adapters.linen",
    "from_nnx": "adapters.nnx",
    "from_function": "adapters.function",
    "method": "_registry",
    "with_diagnostics": "_registry",
    "in_rounds": "core.estimate",
    "Estimate": "core.estimate",
    "wrap": "methods.wrappers",
    "explain": "engine.explain",
    "run": "cli.job",
    "layers": "graph.layers",
    "tap": "graph.tap",
    "audit": "graph.audit",
    "rewrite": "graph.rewrite",
    "rewrite_pair": "graph.pairs",
    "affine_prefix": "graph.prefix",
}
_MODULES = (
    "adapters",
    "aggregate",
    "core",
    "engine",
    "graph",
    "io",
    "methods",
    "models",
    "plots",
    "synthetic",
    "testing",
    "training",
)

__all__ = [*_HOMES, "open", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxplain.{_HOMES[name]}"), name)
    if name == "open":
        return importlib.import_module("jaxplain.io.store").open_store
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("jaxplain")
    if name in _MODULES:
        return importlib.import_module(f"jaxplain.{name}")
    raise AttributeError(f"module 'jaxplain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
