"""Trackers and notifications: what others are told of a run, read from its events by a process of its own."""
