"""The run directory: written once by `writer`, read back by everyone through `reader`."""
