"""What a user can do with runs and experiments, on any screen."""
