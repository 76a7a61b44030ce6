"""The engine: batches, keys, chunks, precision, devices and the stream of a run.

It knows sources, sinks and ledgers by their protocols alone.
"""
