"""Helper processes and their clients. Nothing here imports Keras."""
