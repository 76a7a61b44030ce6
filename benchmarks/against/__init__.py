"""Peers side by side: the same weights, inputs and precision, in one process, and the maps compared.

    python -m benchmarks.against [--networks ...] [--methods ...] [--peers ...] [--pairs 40] [--only-missing]

A ``Pair`` (``pair.py``) names one method of jaxplain and what computes the same in a peer; ``captum``, ``zennit``,
``grad_cam`` and ``shap`` list theirs, with the conventions that differ and how they are brought together. A ``Subject``
(``subjects.py``) is a network in both frameworks with images and labels. ``torch_side.py`` holds the peers' best
setting. Everything here needs the ``bench`` extra (``make bench-env``).
"""
