"""Whole runs of unmodified bots, end to end."""
