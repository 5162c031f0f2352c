"""Walk-forward training: when it happens, what it may see, and where models live."""
