"""Noisy copies of an array: normal noise, sum and cast."""

from jaxplain_kernels.noise_fold.api import noise_fold as noise_fold
