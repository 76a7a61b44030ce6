"""The affine prefix: a function cut in two where it stops being affine in its input.

``f(x) = rest(prefix(x))`` with an affine ``prefix``: the first convolution or matrix product with whatever is affine
before and after it. Along a straight path the prefix's value is interpolated, and since its pull-back is one linear map
everywhere, cotangents that are to be summed are summed at the cut and pulled back once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxplain._typing import Array, PyTree
from jaxplain.core.gradient import pull_back
from jaxplain.graph.affinity import AffineStep, Origin, affine_steps
from jaxplain.graph.rewrite import without_fast_gradients
from jaxplain.graph.speed import fast_actions
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Action, OnRun, Site, evaluate

Cut = tuple[Array, ...]
Implementation = Literal["shared", "plain"]
FEWEST_PRODUCTS = 8
"""Products per value at the cut from which sharing pays. Networks of one convolution, ReLU and mean on two cores, 32
steps: a 1x1 convolution of three channels (3 products) took integrated gradients 0.4 and SmoothGrad 1.2 times as long,
a 3x3 convolution of one channel (9) 0.2 and 0.6 times."""


@dataclass(frozen=True)
class AffinePrefix:
    """A function of one example in two parts, ``f(x) = rest(prefix(x))``.

    Args:
        prefix: The example to the values at the cut; affine.
        rest: The values at the cut to the function's output.
        n_products: How many products of convolutions and matrix products the prefix takes; 0 where it is the identity.
        shapes: Shapes and dtypes of the values at the cut.
    """

    prefix: Callable[[PyTree], Cut]
    rest: Callable[[Cut], PyTree]
    n_products: int
    shapes: tuple[jax.ShapeDtypeStruct, ...]

    @property
    def n_values(self) -> int:
        """How many values lie at the cut."""
        return sum(prod(shape.shape) for shape in self.shapes)

    def gradient(self, cut: Cut) -> Cut:
        """Return the gradient of the output, a score or a vector of them, at the cut."""
        score, pull = jax.vjp(self.rest, cut)
        (cotangents,) = pull_back(pull, score)
        return tuple(cotangents)

    def pull(self, x: PyTree, cotangents: Cut) -> PyTree:
        """Pull cotangents at the cut back to the example; they may carry an axis of scores in front."""
        values, pull = jax.vjp(self.prefix, x)
        fitting = tuple(g.astype(value.dtype) for g, value in zip(cotangents, values, strict=True))
        (result,) = jax.vmap(pull)(fitting) if fitting[0].ndim > values[0].ndim else pull(fitting)
        return result


def affine_prefix(f: Callable[[PyTree], PyTree], x: PyTree) -> AffinePrefix:
    """Cut a function where it stops being affine in its input.

    Of the cuts after the last convolution or matrix product of the affine part the one with the fewest bytes is taken,
    the latest of several; without any such product the prefix is the identity.

    Args:
        f: A score or any function of one example; of what ``with_fast_gradients`` returned, both parts have the fast
            forms.
        x: One example, or its shape and dtype; both parts serve all examples of that shape.

    Returns:
        Both parts. The equations are those of ``f``, and weights keep their derivatives.

    Example:
        >>> import jax.numpy as jnp
        >>> parts = affine_prefix(lambda x: jnp.tanh(x @ jnp.ones((3, 2)) + 1.0).sum(), jnp.ones(3))
        >>> parts.prefix(jnp.ones(3))
        (Array([4., 4.], dtype=float32),)
    """
    original, fast = without_fast_gradients(f)
    traced = trace(original, x)
    steps, left = affine_steps(traced)
    first = max((number for number, step in enumerate(steps, 1) if step.n_products), default=0)
    if not first or not left:
        return whole(f, x)
    cuts = {n: _cut(steps[n:], left, {step.site for step in steps[:n]}) for n in range(first, len(steps) + 1)}
    n_steps = min(cuts, key=lambda n: (sum(_bytes(traced, origin) for origin in cuts[n]), -n))
    return _parted(traced, x, steps[:n_steps], cuts[n_steps], fast)


def whole(f: Callable[[PyTree], PyTree], x: PyTree) -> AffinePrefix:
    """Return the function uncut: the identity, and the function itself."""
    leaves, tree = jax.tree.flatten(x)
    return AffinePrefix(
        lambda x: tuple(jax.tree.leaves(x)),
        lambda cut: f(jax.tree.unflatten(tree, cut)),
        0,
        tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves),
    )


def prefix_for_sums(f: Callable[[Array], Array], x: Array, implementation: Implementation | None) -> AffinePrefix:
    """Return the parts with which to sum gradients: cut where that pays, or as asked for.

    The cut is often larger than the example, and every gradient writes and adds up a cotangent of its size; sharing
    pays where enough products are saved for each of these values. In half precision the roundings of a shared part do
    not average over the gradients (the error of a map doubled), so there it has to be asked for.

    Args:
        f: Score of one example.
        x: The example.
        implementation: "shared" or "plain"; None decides by the count.
    """
    if implementation == "plain":
        return whole(f, x)
    parts = affine_prefix(f, x)
    exact = all(shape.dtype.itemsize >= 4 for shape in parts.shapes)
    pays = parts.n_products >= FEWEST_PRODUCTS * parts.n_values
    return parts if (exact and pays) or implementation == "shared" else whole(f, x)


def _cut(after: Sequence[AffineStep], left: Sequence[Origin], sites: set[Site]) -> tuple[Origin, ...]:
    """Return what the rest reads of the input and of the equations at these sites."""
    read = dict.fromkeys(origin for step in after for origin in step.reads) | dict.fromkeys(left)
    return tuple(sorted(origin for origin in read if not origin[0] or origin[0] in sites))


def _aval(traced: Traced, origin: Origin) -> Any:
    site, number = origin
    if not site:
        return traced.program.inputs[traced.n_captured + number].aval
    return traced.program_at(site).equations[site[-1]].outvars[number].aval


def _bytes(traced: Traced, origin: Origin) -> int:
    aval = _aval(traced, origin)
    return int(prod(aval.shape) * aval.dtype.itemsize)


def _parted(
    traced: Traced, x: PyTree, steps: Sequence[AffineStep], cut: tuple[Origin, ...], fast: bool
) -> AffinePrefix:
    avals = [_aval(traced, origin) for origin in cut]
    shapes = tuple(jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals)
    beginning = traced.program._replace(
        outputs=(), equations=traced.program.equations[: 1 + max(step.site[0] for step in steps)]
    )
    replace: dict[Site, Action] = {step.site: _replace(step) for step in steps}
    read: dict[Site, Action] = {}
    if fast:
        inside = set(replace) - {site for site, _ in cut}
        read = {site: action for site, action in fast_actions(traced).items() if _covers(action, site, inside)}
        replace = fast_actions(traced, tapped=replace) | replace
    read |= {site: _read for site, _ in cut if site}

    def prefix(x: PyTree) -> Cut:
        _, found = evaluate(beginning, traced.inputs(x), read)
        leaves = jax.tree.leaves(x)
        return tuple(jnp.asarray(found[site][number] if site else leaves[number]) for site, number in cut)

    def rest(values: Cut) -> PyTree:
        given = dict(zip(cut, values, strict=True))
        leaves = [
            given.get(((), number), jnp.zeros(leaf.shape, leaf.dtype)) for number, leaf in enumerate(jax.tree.leaves(x))
        ]
        ports: dict[Site, dict[int, Array]] = {}
        for (site, number), value in given.items():
            if site:
                ports.setdefault(site, {})[number] = value
        inputs = traced.inputs(jax.tree.unflatten(traced.in_tree, leaves))
        outputs, _ = evaluate(traced.program, inputs, replace, ports)
        return traced.output(outputs)

    return AffinePrefix(prefix, rest, sum(step.n_products for step in steps), shapes)


def _covers(action: Action, site: Site, sites: set[Site]) -> bool:
    """Tell whether all equations of an action lie at some of these sites."""
    positions = action.run.positions if isinstance(action, OnRun) else (site[-1],)
    return all((*site[:-1], position) in sites for position in positions)


def _read(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
    outputs = run(*inputs)
    return outputs, outputs


def _replace(step: AffineStep) -> Action:
    """Return the action that takes an equation's results from the cut; those that nobody reads again become zeros."""

    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        given = port or {}
        outputs = [variable.aval for variable in step.equation.outvars]
        return [given.get(k, jnp.zeros(aval.shape, aval.dtype)) for k, aval in enumerate(outputs)], None

    return act
