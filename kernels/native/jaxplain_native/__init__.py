"""Convolutions by oneDNN, max-pooling, and their input gradients, on CPUs and XLA's own threads."""

from jaxplain_native.convolution import convolve as convolve
from jaxplain_native.convolution import pull_back as pull_back
from jaxplain_native.convolution import refusal as refusal
from jaxplain_native.library import onednn_version as onednn_version
from jaxplain_native.pool import pool_refusal as pool_refusal
from jaxplain_native.pool import pool_with_winners as pool_with_winners
from jaxplain_native.pool import send_back as send_back
