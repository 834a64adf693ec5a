"""ftapp: a fine-tuning workbench for Keras 3 that lives in the terminal."""

__version__ = "0.1.0"
