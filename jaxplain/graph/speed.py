"""Faster gradients: the same values, the same derivatives up to the order of sums, other programs.

Convolutions and max-poolings are evaluated in forms whose pull-back CPUs run faster, those that a rule takes as well,
and convolutions together with what follows them where a library computes that in one pass (``fusion``); what lies
inside a custom derivative rule of the network's author stays as it is.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from jaxplain import _compat
from jaxplain._compat import Equation
from jaxplain._typing import PyTree
from jaxplain.graph.blocks import Placed
from jaxplain.graph.convolution import convolution_form
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.fusion import fused_actions
from jaxplain.graph.pooling import pooling_form
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Action, Form, Run, Site, lies_in

FORMS = (convolution_form, pooling_form)


def fast_actions(traced: Traced, taken: Sequence[Placed] = (), tapped: Collection[Site] = ()) -> dict[Site, Action]:
    """Return the actions that make a function's gradient faster, by site.

    Args:
        traced: The function.
        taken: Blocks that have a rule of their own.
        tapped: Sites whose values are read or added to.
    """
    held = {(*one.site[:-1], position) for one in taken for position in one.run.positions} | set(tapped)
    found = steps(traced)
    fused = fused_actions(traced, found, held)
    held |= {(*site[:-1], position) for site, action in fused.items() for position in action.run.positions}
    free = [step for step in found if step.depends and not lies_in(step.site, held)]
    forms = [(step, _form(step.equation)) for step in free if not _inside_custom(step)]
    return {**fused, **{step.site: _action(step.equation, form) for step, form in forms if form is not None}}


def fast_run(placed: Placed) -> Run:
    """Return the run of a block that has a rule of its own in the forms that are pulled back faster."""
    if placed.within:
        return placed.run
    forms = {number: _form(equation) for number, equation in enumerate(placed.run.equations)}
    return replace(placed.run, forms={number: form for number, form in forms.items() if form is not None})


def _inside_custom(step: Step) -> bool:
    return any(_compat.kind_of(outer) == "custom" for outer in step.enclosing)


def _form(equation: Equation) -> Form | None:
    return next((found for form in FORMS if (found := form(equation)) is not None), None)


def _action(equation: Equation, form: Form) -> Action:
    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], None]:
        with _compat.context_of(equation):  # keeps its names for whoever traces the result
            return form(*inputs), None

    return act
