"""Hot operations on arrays: one folder each, with a plain-JAX reference beside the faster forms.

This package knows arrays, not explanations, and imports nothing but JAX. An operation's folder holds `api.py` (the
doorway, which chooses), `xla.py` (the reference), `pallas.py` where a benchmark shows that it wins, and `cases.py`
(inputs that the tests and the benchmarks share).
"""
