"""One network in three forms with one set of weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.tree_util import tree_map_with_path

from jaxplain._typing import Array, PyTree
from jaxplain.adapters.function import from_function
from jaxplain.adapters.linen import from_linen
from jaxplain.adapters.nnx import from_nnx
from jaxplain.core.model import Model

CLASSES = 4
FEATURES = "features"
"""The tag of a layer ``(*space, channels)`` in every network and form, for methods that need one."""

Framework = Literal["linen", "nnx", "bare"]


@dataclass(frozen=True)
class Architecture:
    """A tiny network in Linen, in NNX and as a bare function, from the same primitives and with the same weights.

    Args:
        name: What it is called.
        shape: One example's ``(*space, channels)``.
        in_linen: ``in_linen(remat=...)`` makes the Linen module.
        in_nnx: ``in_nnx(remat=..., rngs=...)`` makes the NNX module, whose attributes are named as Linen's layers.
        bare: ``bare(weights, batch, remat=...)`` on the nested dict of all weights; ``scan=...`` too, if ``scans``.
        has: What methods may ask of a network: "relu", "attention".
        scans: Whether the bare form can run its equal blocks by ``lax.scan``.

    Example:
        >>> from jaxplain.testing.architectures import ARCHITECTURES
        >>> network = ARCHITECTURES[0]
        >>> network.model("nnx", remat=True)(jnp.zeros((2, *network.shape))).shape
        (2, 4)
    """

    name: str
    shape: tuple[int, ...]
    in_linen: Callable[..., nn.Module]
    in_nnx: Callable[..., nnx.Module]
    bare: Callable[..., Array]
    has: frozenset[str] = frozenset()
    scans: bool = False

    @property
    def forms(self) -> dict[str, dict[str, Any]]:
        """The keywords of ``model`` by the names of the forms that there are, "bare" first."""
        forms: dict[str, dict[str, Any]] = {one: {"framework": one} for one in ("bare", "linen", "nnx")}
        forms |= {f"{one}_remat": {**keywords, "remat": True} for one, keywords in forms.items()}
        return forms | ({"bare_scan": {"framework": "bare", "scan": True}} if self.scans else {})

    def model(self, framework: Framework, *, remat: bool = False, scan: bool = False) -> Model:
        """Return the network as a model; all of them compute the same.

        Args:
            framework: Who wrote it.
            remat: Whether its blocks are recomputed in the backward pass, by the framework's own means.
            scan: Whether equal blocks are one ``lax.scan`` over their stacked weights; of the bare form only.
        """
        weights = self.weights()
        if framework == "linen":
            variables = {"params": _only(weights, False), "batch_stats": _only(weights, True)}
            return from_linen(self.in_linen(remat=remat), variables)
        if framework == "nnx":
            return Model(weights, from_nnx(self._abstract(remat)).apply)
        return from_function(_Bare(self.bare, (("remat", remat), ("scan", scan))[: 1 + self.scans]), weights)

    def weights(self) -> PyTree:
        """Return the weights and running statistics, a nested dict by layers: random, the same at each call."""
        draw = np.random.default_rng(0)
        return tree_map_with_path(lambda path, leaf: _drawn(draw, path[-1].key, leaf.shape), self._shapes())

    def images(self, n: int, seed: int = 1) -> np.ndarray:
        """Return n random images, float32."""
        return np.random.default_rng(seed).normal(size=(n, *self.shape)).astype(np.float32)

    def _shapes(self) -> PyTree:
        return from_nnx(self._abstract(remat=False)).params

    def _abstract(self, remat: bool) -> nnx.Module:
        return nnx.eval_shape(lambda: self.in_nnx(remat=remat, rngs=nnx.Rngs(0)))


@dataclass(frozen=True)
class _Bare:
    """A bare function with its switches set, equal by value."""

    function: Callable[..., Array]
    switches: tuple[tuple[str, bool], ...]

    def __call__(self, weights: PyTree, batch: Array) -> Array:
        return self.function(weights, batch, **dict(self.switches))


def _drawn(draw: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Draw one array such that activations keep their size and nothing is trivial: no zero bias, no unit scale."""
    values = draw.normal(size=shape)
    if name == "kernel":
        values *= math.sqrt(2 / math.prod(shape[:-1]))
    elif name == "var":
        values = np.exp(0.3 * values)
    else:
        values = 0.2 * values + name.endswith("scale")
    return jnp.asarray(values, jnp.float32)


def _only(weights: PyTree, statistics: bool) -> PyTree:
    """Return Linen's collection of running statistics, or that of parameters."""
    kept: dict[str, Any] = {}
    for name, value in weights.items():
        inner = _only(value, statistics) if isinstance(value, dict) else value
        if inner if isinstance(value, dict) else (name in ("mean", "var")) == statistics:
            kept[name] = inner
    return kept


def called(module: Any, x: Array, *, remat: bool) -> Array:
    """Call a block of an NNX module, by ``nnx.remat`` where asked for."""
    return nnx.remat(_call)(module, x) if remat else module(x)


def _call(module: Any, x: Array) -> Array:
    return module(x)
