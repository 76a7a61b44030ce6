"""Wrappers around any method: maps of noisy copies, of several networks, of mirrored and shifted views, reduced to one.

``jaxplain.wrap("smooth", "lrp", n_samples=8)`` is a method, and so is the name "smooth(lrp)", where one is asked for.
All have the knob ``statistic``: "mean", "square" (the mean square), "variance", which is divided by the number of maps,
and "std", its root. The axioms that a wrapper keeps are those of the mean.
"""

from jaxplain._wrapping import wrap as wrap
from jaxplain.methods.wrappers.augment import augment as augment
from jaxplain.methods.wrappers.dropout import dropout as dropout
from jaxplain.methods.wrappers.ensemble import ensemble as ensemble
from jaxplain.methods.wrappers.smooth import smooth as smooth
