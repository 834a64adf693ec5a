"""Exports: a trained model in the formats of other runtimes, each with its preprocessing and a program that reads it.

`ftapp.runs.export_formats` lists the formats. `write` writes one, and `check` compares its answers with the model's.
"""
