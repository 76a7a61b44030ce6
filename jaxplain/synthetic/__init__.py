"""Data sets with known truth, generated: no downloads."""

from jaxplain.synthetic.aligned import Aligned, Artefact, aligned
from jaxplain.synthetic.toy_colors import ToyColors, toy_colors

__all__ = ["Aligned", "Artefact", "ToyColors", "aligned", "toy_colors"]
