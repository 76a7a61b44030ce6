"""Faster gradients: the same values, the same derivatives up to the order of sums, other programs.

Convolutions and max-poolings that no rule takes are evaluated in forms whose pull-back CPUs run faster; what lies
inside a custom derivative rule of the network's author stays as it is.
"""

from collections.abc import Sequence

from jaxplain import _compat
from jaxplain.graph.blocks import Placed
from jaxplain.graph.convolution import convolution_action
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.pooling import pooling_action
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Action, Site, lies_in

RULES = (convolution_action, pooling_action)


def fast_actions(traced: Traced, taken: Sequence[Placed] = ()) -> dict[Site, Action]:
    """Return the actions that make a function's gradient faster, by site.

    Args:
        traced: The function.
        taken: Blocks that have a rule of their own.
    """
    held = {(*one.site[:-1], position) for one in taken for position in one.run.positions}
    found = {step.site: _action(step) for step in steps(traced) if step.depends and not lies_in(step.site, held)}
    return {site: action for site, action in found.items() if action is not None}


def _action(step: Step) -> Action | None:
    if any(_compat.kind_of(outer) == "custom" for outer in step.enclosing):
        return None
    return next((action for rule in RULES if (action := rule(step)) is not None), None)
