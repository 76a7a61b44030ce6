"""Ranks of scores along the last axis, 0 for the highest, in one exact order."""

from jaxplain_kernels.rank.api import rank as rank
