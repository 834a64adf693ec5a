"""The model of a phase, compiled with its optimizer, loss and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import NumberScale
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models import backend, heads, objectives
from ftapp.models.adapters import find_part
from ftapp.recipe import TASKS, Phase, Recipe
from ftapp.training import layer_rates
from ftapp.training.instrumented_model import InstrumentedModel
from ftapp.training.optimizers import OptimizerState, make_optimizer, restore_optimizer


def compile_phase(
    recipe: Recipe,
    phase: Phase,
    model: InstrumentedModel,
    plan: LayerPlan,
    former: Any = None,
    saved: OptimizerState | None = None,
    *,
    steps: int,
    class_weights: NDArray[np.float64] | None = None,
    scale: NumberScale | None = None,
) -> None:
    """Compile the model of a phase with its optimizer, and with the loss and metrics of the recipe's task.

    Args:
        recipe: The recipe of the run.
        phase: The phase that the model trains in.
        model: The whole model, or the half of it above the cut.
        plan: What trains in the phase.
        former: The optimizer of the phase before, from which moments are carried over; None at the start.
        saved: The state of this phase's optimizer at the step from which the phase goes on; None at its beginning.
        steps: The steps of the phase.
        class_weights: By how much the loss of an example counts, by its class, or of the labels that it has,
            (classes,); None where all count the same.
        scale: The scale of the numbers of regression; None for other tasks.
    """
    task = TASKS[recipe.task]
    mixes_labels = recipe.augmentation is not None and recipe.augmentation.mixes_labels
    multipliers = layer_rates.list_multipliers(phase, plan)
    if task.heads:
        model.training_loss = heads.training_loss_for(
            recipe.model.head,
            smoothing=recipe.model.label_smoothing,
            gamma=recipe.balance.focal_gamma,
            weights=class_weights,
            targets="sets" if task.labels == "sets" else "shares" if mixes_labels else "classes",
        )
    model.trains_on_shares = mixes_labels
    variables = model.trainable_variables
    exempt = list_exempt_weights(phase, plan)
    model.compile(
        optimizer=restore_optimizer(phase, variables, multipliers, saved, exempt, steps=steps)
        if saved
        else make_optimizer(phase, variables, multipliers, former, exempt, steps=steps),
        loss=objectives.loss_for(task, recipe.model.head, scale),
        metrics=objectives.metrics_for(task, recipe.model.head),
        jit_compile=backend.jit_compile(),
    )


def list_exempt_weights(phase: Phase, plan: LayerPlan) -> list[Any]:
    """List the weights that train and that weight decay leaves as they are: norms and biases, where the phase says so.

    So do BERT (Devlin et al. 2019) and most transformers since.
    """
    if phase.weight_decay_on == "all" or not phase.weight_decay:
        return []
    return [
        variable
        for decision in plan.trained_layers
        for variable in decision.trained
        if "norms" in decision.description.groups or find_part(variable) == "biases"
    ]
