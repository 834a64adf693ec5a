"""Exports to a program of PyTorch (`torch.export`), which needs no Keras to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftapp.models.export.program import Program
from ftapp.models.export.request import ExportRequest, WrittenModel
from ftapp.models.export.serving import export_graph
from ftapp.recipe import TASKS

PROGRAM = Program(
    compute='''
import torch

MODEL = torch.export.load(FOLDER / "model.pt2").module()


@torch.no_grad()
def compute_scores(inputs):
    """Compute the scores of encoded examples."""
    return MODEL({name: torch.from_numpy(values) for name, values in inputs.items()})["scores"].numpy()
'''
)
_MOST_EXAMPLES = 4096  # at a time; torch wants a limit


def write(request: ExportRequest, folder: Path) -> WrittenModel:
    """Write `model.pt2`. Keras has to compute with torch.

    Args:
        request: What is exported.
        folder: Where to.
    """
    import torch

    trained = request.trained
    batch, shapes = torch.export.Dim("batch", min=1, max=_MOST_EXAMPLES), dict[str, dict[int, Any]]()
    notes = [f"up to {_MOST_EXAMPLES} examples fit at a time"]
    if TASKS[trained.task].inputs == "images":
        shapes = {"images": {0: batch}}
    else:
        length = int(trained.preprocessor.sequence_length)
        tokens = torch.export.Dim("tokens", min=1, max=length)
        shapes = {name: {0: batch, 1: tokens} for name in ("token_ids", "padding_mask")}
        notes.append(f"a text has up to {length} tokens")
    export_graph(trained, folder / "model.pt2", "torch", dynamic_shapes=shapes)
    return WrittenModel(PROGRAM, notes)
