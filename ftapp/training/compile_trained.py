"""A trained model, compiled for the step by which a run evaluates it."""

from __future__ import annotations

from typing import cast

from ftapp.data.dataset import NumberScale
from ftapp.models import backend, objectives
from ftapp.models.heads import NUMBER_SCALE
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS
from ftapp.recipe.tasks import Head
from ftapp.training.instrumented_model import InstrumentedModel, instrument


def compile_trained(trained: TrainedModel) -> InstrumentedModel:
    """Compile a trained model with the loss and the metrics of its task; it gives scores unless it writes text."""
    task, head = TASKS[trained.task], cast(Head, trained.head)
    model = instrument(trained.model, gives_scores=not task.writes)
    model.compile(
        loss=objectives.loss_for(task, head, read_scale(trained)),
        metrics=objectives.metrics_for(task, head),
        jit_compile=backend.jit_compile(),
    )
    return model


def read_scale(trained: TrainedModel) -> NumberScale | None:
    """Read the scale of the numbers that a model of regression has learned; None of other models."""
    layer = next((layer for layer in trained.model.layers if layer.name == NUMBER_SCALE), None)
    return None if layer is None else NumberScale(float(layer.offset), float(layer.scale))
