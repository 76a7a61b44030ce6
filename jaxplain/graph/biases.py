"""The full gradient: a score as the sum of input times gradient and of a bias term per block.

A block ``y = B(u)`` has the bias ``y - J u``, what its own linearization at ``u`` leaves out: the shift of an affine
block, ``h(z) - z h'(z)`` of an activation (zero for a ReLU), what a padding or a class token brings in. With the
gradient ``g`` of the score at y, the terms ``g (y - J u)`` of all blocks and ``x df/dx`` sum to the score, whatever the
network consists of, since ``<g, y>`` passes from the outputs of a block to its inputs but for its term.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain._typing import Array, PyTree, ScoreFn
from jaxplain.core.gradient import pull_back, scale_maps
from jaxplain.core.sampling import wide
from jaxplain.graph.blocks import Block, Placed, blocks_of
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.trace import trace
from jaxplain.graph.walk import Action, OnRun, Ports, Site, evaluate

_WITHOUT_BIAS = frozenset(
    (
        "abs", "avg_pool", "broadcast_in_dim", "copy", "copy_p", "cumsum", "div", "expand_dims", "leaky_relu",
        "max_pool", "mean", "mul", "name", "neg", "reduce_max", "reduce_min", "reduce_sum", "reduce_window_sum", "relu",
        "reshape", "rev", "slice", "split", "squeeze", "sum", "transpose",
    )
)  # fmt: skip
"""Kinds of degree one in what depends on the input: their term is zero, and nothing is kept for it."""
_SHIFTING = frozenset(("add", "sub"))
_SPATIAL = frozenset(("conv", "max_pool", "avg_pool"))


@dataclass(frozen=True)
class Term:
    """The bias terms of one block.

    Args:
        block: The block.
        values: ``(*t, steps, *shape)``: per score, per step of the scans around the block, without the network's
            batch axis.
        has_place: Whether these are ``(*space, channels)`` with the space of the example, of a convolution's outputs
            or of a pooling's.
    """

    block: Block
    values: Array
    has_place: bool


@dataclass(frozen=True)
class FullGradient:
    """A score taken apart; ``score`` is the sum of all other entries.

    Args:
        score: ``(*t)``.
        input_term: ``x df/dx``, ``(*t, *in)``.
        terms: What the blocks add, in the order of evaluation.
    """

    score: Array
    input_term: Array
    terms: tuple[Term, ...]


def full_gradient(f: ScoreFn, x: Array) -> FullGradient:
    """Take a score apart into ``x df/dx`` and a bias term per block.

    Args:
        f: A score or any function of one example to a scalar or a vector.
        x: The example.

    Example:
        >>> found = full_gradient(lambda x: jnp.sum(jnp.tanh(x @ jnp.ones((2, 1)) - 3.0)), jnp.array([1.0, 2.0]))
        >>> [(term.block.kind, term.values.tolist()) for term in found.terms]
        [('dot', [[-3.0]]), ('tanh', [[0.0]])]
    """
    traced = trace(f, x)
    by_site = {step.site: step for step in steps(traced)}
    blocks = blocks_of(traced)[0]
    biased = {one.site: one for one in blocks if _may_have_bias(one)}
    shapes = [_without_batch(by_site[one.site], 0, one.block.shape) for one in blocks if one.block.kind in _SPATIAL]
    spaces = {shape[:-1] for shape in (x.shape, *shapes) if len(shape) == x.ndim}
    actions: dict[Site, Action] = {site: OnRun(one.run, _adding(one)) for site, one in biased.items()}

    def evaluated(x: Array, deltas: Ports) -> tuple[PyTree, Ports]:
        outputs, biases = evaluate(traced.program, traced.inputs(x), actions, deltas)
        return traced.output(outputs), biases

    silent = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(evaluated, x, {})[1])
    score, pull, biases = jax.vjp(evaluated, x, silent, has_aux=True)
    gradient, at_blocks = pull_back(pull, score)
    terms = []
    for site in sorted(biases):
        for number, g, bias in zip(_smooth(biased[site]), at_blocks[site], biases[site], strict=True):
            values = _by_step(by_site[site], number, scale_maps(wide(g), wide(bias)), score.ndim)
            terms.append(Term(biased[site].block, values, values.shape[score.ndim + 1 : -1] in spaces))
    return FullGradient(score, scale_maps(wide(gradient), wide(x)), tuple(terms))


def _may_have_bias(one: Placed) -> bool:
    if one.within or one.nature == "while" or not _smooth(one):
        return False
    if one.affine is not None:
        return not _SHIFTING.isdisjoint(one.affine.parts)
    return not any(one.moving) or one.block.kind not in _WITHOUT_BIAS


def _smooth(one: Placed) -> list[int]:
    """Return the numbers of the outputs that can be differentiated."""
    outputs = one.run.equations[-1].outvars
    return [number for number, output in enumerate(outputs) if jnp.issubdtype(output.aval.dtype, jnp.inexact)]


def _adding(one: Placed) -> Callable[[Sequence[Any], PyTree], tuple[list[Any], PyTree]]:
    """Return the action that adds deltas to a block's outputs and emits its biases."""
    smooth = _smooth(one)

    def act(inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], PyTree]:
        outputs = one.run(*inputs)
        biases = _biases(one, inputs, [outputs[number] for number in smooth])
        for number, delta in zip(smooth, port or [], strict=bool(port)):
            outputs[number] = outputs[number] + delta
        return outputs, biases

    return act


def _biases(one: Placed, inputs: Sequence[Any], outputs: list[Array]) -> list[Array]:
    """Return ``y - J u``. ``J u`` is the pull-back of the pull-back, since custom reverse rules have no other form."""
    if one.affine is not None:
        return [one.affine.at(inputs).shift]
    moving = [value for value, moves in zip(inputs, one.moving, strict=True) if moves]

    def run(moving: list[Any]) -> list[Any]:
        stream = iter(moving)
        found = one.run(*[next(stream) if moves else value for value, moves in zip(inputs, one.moving, strict=True)])
        return [found[number] for number in _smooth(one)]

    (linear,) = jax.vjp(jax.vjp(run, moving)[1], [jnp.zeros_like(output) for output in outputs])[1]((moving,))
    return [output - part for output, part in zip(outputs, linear, strict=True)]


def _by_step(step: Step, number: int, values: Array, n_front: int) -> Array:
    """Lay the axes of all scans out as one, of length one if there is none, and drop the network's batch axis."""
    first = n_front + len(step.loops)
    inner = _without_batch(step, number, values.shape[first:])
    return values.reshape(*values.shape[:n_front], math.prod(step.loops), *inner)


def _without_batch(step: Step, number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    axis = step.outputs[number].axis
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])
