"""Many perturbed images from one order of the pixels: each erased or restored up to its own rank."""

from jaxplain_kernels.rank_erase.api import rank_erase as rank_erase
