"""The processes' entry points."""
