"""Exports to ONNX, for ONNX Runtime and others. Any number of examples and tokens."""

from __future__ import annotations

import json
from pathlib import Path

import onnx as onnx_files

from ftapp.models.export.program import Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.serving import SCORES, export_graph

PROGRAM = Program(
    compute='''
import onnxruntime

MODEL = onnxruntime.InferenceSession(FOLDER / "model.onnx", providers=["CPUExecutionProvider"])


def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return MODEL.run(["scores"], inputs)[0]
'''
)
# The newest version of ONNX's operators that tf2onnx 1.17 writes.
_OPSET = 18
_AXES = {"token_ids": ("batch", "tokens"), "padding_mask": ("batch", "tokens"), "images": ("batch",)}


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `model.onnx`.

    Args:
        request: What is exported.
        folder: Where to.
    """
    file = folder / "model.onnx"
    export_graph(request.trained, file, "onnx", opset_version=_OPSET)
    model = onnx_files.load(file)
    for tensor in (*model.graph.input, *model.graph.output):
        axes = _AXES.get(tensor.name, ("batch", "tokens") if request.trained.causal_lm else ("batch",))
        for name, axis in zip(axes, tensor.type.tensor_type.shape.dim, strict=False):
            axis.dim_param = name
    onnx_files.helper.set_model_props(
        model, {"task": request.trained.task, "labels": json.dumps(request.trained.classes, ensure_ascii=False)}
    )
    onnx_files.checker.check_model(model)
    onnx_files.save(model, file)
    has_tokens = "token_ids" in {each.name for each in model.graph.input}
    sizes = "the axes batch and tokens of the inputs have" if has_tokens else "the axis batch of the input has"
    return WrittenModel(PROGRAM, [f"{sizes} any size; the output is '{SCORES}'"])
