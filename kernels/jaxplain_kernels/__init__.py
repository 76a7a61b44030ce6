"""Hot operations on arrays: one folder each, with a plain-JAX reference beside the faster forms.

This package knows arrays, not explanations, and imports nothing but JAX. An operation's folder holds `api.py` (the
doorway: its forms, and the table of where each wins), `xla.py` (the forms in plain JAX), `pallas.py` where it has a
kernel of its own, and `cases.py` (inputs that the tests and the benchmarks share). `choice.py` is the one dispatcher.
"""

from jaxplain_kernels.choice import choices as choices
