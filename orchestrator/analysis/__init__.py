"""From a run directory to figures, tables and reports."""
