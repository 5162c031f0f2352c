"""The shell round the engine: ZeroMQ bus, child processes, pacing, control, live state."""
