"""Convolutions and their input gradients on CPUs by oneDNN, on XLA's own threads."""

from jaxplain_native.convolution import convolve as convolve
from jaxplain_native.convolution import pull_back as pull_back
from jaxplain_native.convolution import refusal as refusal
from jaxplain_native.library import onednn_version as onednn_version
