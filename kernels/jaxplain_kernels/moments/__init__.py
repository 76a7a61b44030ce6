"""Sums, maxima, means and variances over the samples of a chunk, merged with a running state."""

from jaxplain_kernels.moments.api import add_up as add_up
from jaxplain_kernels.moments.api import highest as highest
from jaxplain_kernels.moments.api import merge as merge
