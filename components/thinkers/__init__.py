"""Reference thinkers: they watch the market and say what they think of it."""
