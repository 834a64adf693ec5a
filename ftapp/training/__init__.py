"""One run from inside."""
