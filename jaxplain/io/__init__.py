"""Sources, sinks, ledger and manifest: how images come in and maps go out.

Nothing here imports jax, so that opening a store is light; TensorStore is imported by `storage` alone.
"""
