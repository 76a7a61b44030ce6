"""Data sets with known truth, generated: no downloads."""

from jaxplain.synthetic.aligned import Aligned, Artefact, aligned
from jaxplain.synthetic.counting import count_shapes
from jaxplain.synthetic.shapes import Shapes, simple_geometric, triangles_and_squares
from jaxplain.synthetic.toy_colors import ToyColors, toy_colors

__all__ = [
    "Aligned",
    "Artefact",
    "Shapes",
    "ToyColors",
    "aligned",
    "count_shapes",
    "simple_geometric",
    "toy_colors",
    "triangles_and_squares",
]
