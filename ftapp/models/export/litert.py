"""Exports to LiteRT, the former TensorFlow Lite, with built-in operators alone."""

from __future__ import annotations

from pathlib import Path

from ftapp.models.export.program import Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.serving import export_graph

PROGRAM = Program(
    compute='''
from ai_edge_litert.interpreter import Interpreter

MODEL = Interpreter(model_path=str(FOLDER / "model.tflite")).get_signature_runner("serving_default")


def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return MODEL(**inputs)["scores"]
'''
)


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `model.tflite`.

    Args:
        request: What is exported.
        folder: Where to.
    """
    import tensorflow as tf

    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if request.int8 else {}
    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    export_graph(request.trained, folder / "model.tflite", "litert", target_spec=target, **options)
    notes = ["a batch has any number of examples; the interpreter allocates its tensors again if the number changes"]
    if request.int8:
        notes.append(
            "weights are in int8, and activations are quantized while it computes (dynamic-range quantization)"
        )
    return WrittenModel(PROGRAM, notes)
