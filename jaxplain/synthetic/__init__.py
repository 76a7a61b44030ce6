"""Data sets with known truth, generated: no downloads."""

from jaxplain.synthetic.aligned import Aligned, Artefact, aligned

__all__ = ["Aligned", "Artefact", "aligned"]
