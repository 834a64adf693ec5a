"""A run's model on a hub: what is sent, and where to."""
