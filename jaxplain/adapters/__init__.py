"""Adapters: how a network of each framework becomes a ``Model``, and how checkpoints are fitted to it."""
