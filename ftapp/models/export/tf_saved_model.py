"""Exports to TensorFlow's SavedModel, for TensorFlow itself, TensorFlow Serving and others."""

from __future__ import annotations

from pathlib import Path

from ftapp.models.export.program import Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.serving import export_graph

PROGRAM = Program(
    compute='''
import tensorflow

LOADED = tensorflow.saved_model.load(str(FOLDER))  # the signature does not keep its weights alive
MODEL = LOADED.signatures["serving_default"]


def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return MODEL(**{name: tensorflow.constant(values) for name, values in inputs.items()})["scores"].numpy()
'''
)


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `saved_model.pb` and the folder `variables`.

    Args:
        request: What is exported.
        folder: Where to.
    """
    export_graph(request.trained, folder, "tf_saved_model")
    return WrittenModel(PROGRAM, ["its signature is 'serving_default'"])
