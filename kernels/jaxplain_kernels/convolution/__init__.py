"""Convolutions in the forms that a backend runs best, and their input gradients."""

from jaxplain_kernels.convolution.api import Spec as Spec
from jaxplain_kernels.convolution.api import convolve as convolve
from jaxplain_kernels.convolution.api import fuses as fuses
