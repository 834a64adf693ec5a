"""What happens around the steps of a run, one callback a file: events, evaluation, drift, samples, commands."""
