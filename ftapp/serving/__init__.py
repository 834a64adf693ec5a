"""A run's model behind HTTP: its web application, and the batches of requests that come at the same time."""
