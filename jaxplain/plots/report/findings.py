"""What the sweeps say in a few sentences, none of them stronger than the figures."""

import math

from jaxplain.plots.areas import Area, estimate, percent
from jaxplain.plots.report.content import Sweep
from jaxplain.plots.wording import readable

RANDOM = "random"


def findings(sweep: Sweep) -> tuple[str, ...]:
    """Compare the methods of a sweep with its controls.

    A method counts as ahead of a control when the lower end of its interval lies above the control's figure, and above
    the upper end of the control's interval where there is one. Nothing is said about figures that are not defined.
    """
    methods = _defined([area for area in sweep.areas if not area.control])
    controls = _defined([area for area in sweep.areas if area.control])
    if not methods:
        return ()
    best, sentences = methods[0], []
    sentences.append(
        f"{_name(best)} has the largest difference between restore and erase area, "
        f"{estimate(best.difference)} ({sweep.metric}; {sweep.name[:1].lower()}{sweep.name[1:]})."
    )
    if math.isfinite(best.fraction.value):
        sentences.append(
            f"In its order, {percent(best.fraction)} of the pixels bring back 95 % of what the model gains from the "
            "full image over the blank one."
        )
    if not controls:
        return (*sentences, "No control was computed, so nothing can be said about how good that is.")
    strongest = controls[0]
    ahead = [area for area in methods if _ahead(area, strongest)]
    control = f"the strongest control, {_name(strongest)}, {estimate(strongest.difference)}"
    if not ahead:
        sentences.append(f"No method is clearly ahead of {control}.")
    elif len(ahead) == len(methods):
        subject = "Every method is" if len(methods) > 1 else "The method is"
        sentences.append(f"{subject} clearly ahead of {control}.")
    else:
        behind = [area for area in methods if not _ahead(area, strongest)]
        sentences.append(f"{_names(ahead)}: clearly ahead of {control}. Not clearly ahead: {_names(behind)}.")
    rivals = [area for area in methods[1:] if not _ahead(best, area)]
    if rivals:
        sentences.append(f"The intervals do not tell {_name(best)} from {_names(rivals)}.")
    return tuple(sentences)


def _defined(areas: list[Area]) -> list[Area]:
    kept = [area for area in areas if math.isfinite(area.difference.value)]
    return sorted(kept, key=lambda area: -area.difference.value)


def _ahead(area: Area, other: Area) -> bool:
    low = area.difference.low if area.difference.bounded else area.difference.value
    high = other.difference.high if other.difference.bounded else other.difference.value
    return low > high


def _name(area: Area) -> str:
    return readable(area.name, 60)


def _names(areas: list[Area]) -> str:
    return ", ".join(_name(area) for area in areas)
