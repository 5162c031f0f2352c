"""Reference trainers: they make models out of the past."""
