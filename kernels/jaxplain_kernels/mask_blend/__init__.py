"""Coarse random masks, as RISE has them: blended with an image, and summed by weights."""

from jaxplain_kernels.mask_blend.api import mask_blend as mask_blend
from jaxplain_kernels.mask_blend.masks import cell_sizes as cell_sizes
from jaxplain_kernels.mask_blend.masks import collect as collect
from jaxplain_kernels.mask_blend.masks import spread as spread
from jaxplain_kernels.mask_blend.masks import upsample as upsample
