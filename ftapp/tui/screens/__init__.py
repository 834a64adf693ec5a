"""The interface's screens, one a module."""
