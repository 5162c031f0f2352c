"""Reference traders: they hear signals and place orders."""
