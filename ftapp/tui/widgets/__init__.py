"""Widgets that several screens share, one a module."""
