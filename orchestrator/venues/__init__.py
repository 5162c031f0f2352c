"""Real exchanges' REST dialects, spoken on top of the simulated exchange: (time, request) -> response."""
