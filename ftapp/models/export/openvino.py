"""Exports to OpenVINO's intermediate representation, in float32 or quantized to int8 by NNCF."""

from __future__ import annotations

from pathlib import Path

from ftapp.common.formatting import format_quantity
from ftapp.models.export.program import Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.serving import export_graph

# By default OpenVINO computes in bfloat16 where the processor does.
PROGRAM = Program(
    compute='''
import openvino

MODEL = openvino.Core().compile_model(FOLDER / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return MODEL(inputs)["scores"]
'''
)


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `model.xml` and `model.bin`.

    Args:
        request: What is exported.
        folder: Where to.
    """
    # Here, since it leaves out the packages that report the use of OpenVINO.
    from ftapp.models.openvino_graph import has_attention, load_graph, quantize_graph, save_graph

    file = folder / "model.xml"
    export_graph(request.trained, file, "openvino")
    notes = ["the program predict.py computes in float32; OpenVINO may choose bfloat16, which is faster and less exact"]
    if request.int8:
        attention = has_attention(request.trained.model)
        quantized = quantize_graph(load_graph(file), request.calibration, attention=attention)
        save_graph(quantized, file)
        examples = sum(len(next(iter(batch.values()))) for batch in request.calibration)
        notes.append(f"the ranges of its activations come from {format_quantity(examples, 'training example')}")
    return WrittenModel(PROGRAM, notes)
