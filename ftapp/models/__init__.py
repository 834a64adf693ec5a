"""Models: built from presets, saved and loaded."""
