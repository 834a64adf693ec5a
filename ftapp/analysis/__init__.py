"""Numbers about runs and data."""
