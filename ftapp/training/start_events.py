"""The events that begin a run: what it trains on, with which data and which model, and where it goes on."""

from __future__ import annotations

import time

from ftapp.common.errors import RunError
from ftapp.data.dataset import EncodedSplits
from ftapp.freezing.proof import combine, digest_weights
from ftapp.models.adapters import is_factor
from ftapp.recipe import TASKS, Recipe
from ftapp.runs.checkpoints import ResumePoint
from ftapp.runs.events import DataLoaded, ModelBuilt, Resumed, RunStarted
from ftapp.runs.run_folder import RunFolder
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Device, Setup
from ftapp.training.state import TrainState


def describe_start(recipe: Recipe, device: Device, run: RunFolder) -> RunStarted:
    """Describe what the run is and what it computes on."""
    facts = run.environment()
    return RunStarted(
        time=time.time(),
        recipe=facts.get("recipe", run.folder.name),
        profile=facts.get("profile"),
        seed=recipe.seed,
        backend=recipe.backend,
        device=device.name,
        precision=device.precision,
        reason=device.reason,
    )


def describe_data(splits: EncodedSplits) -> DataLoaded:
    """Describe the data that the run works on."""
    return DataLoaded(
        time=time.time(),
        train=len(splits.train),
        validation=len(splits.validation),
        test=len(splits.test),
        classes=list(splits.classes),
        duplicates=splits.duplicates,
        counts={name: list(counts) for name, counts in splits.counts.items()},
        notes=list(splits.notes),
    )


def describe_model(setup: Setup) -> ModelBuilt:
    """Describe the model with its first weights, which are hashed.

    Adapters are left out: they change nothing at first, so that runs with and without them begin alike.
    """
    layers = setup.plans[0].descriptions
    weights = {name: each for name, each in digest_weights(setup.plans[0]).items() if not is_factor(name)}
    ours = tuple(f"{layer.path}/" for layer in layers if "head" in layer.groups)
    is_language_model = TASKS[setup.recipe.task].writes
    return ModelBuilt(
        time=time.time(),
        parameters=setup.model.count_params(),
        layers=len(layers),
        digest=combine(weights),
        pretrained=combine({name: each for name, each in weights.items() if not name.startswith(ours)}),
        vocabulary=setup.pretrained.backbone.vocabulary_size if is_language_model else 0,
    )


def describe_seam(setup: Setup, point: ResumePoint, state: TrainState, run: RunFolder) -> Resumed:
    """Describe where the run goes on, once its examples are found to be those that it has seen.

    Raises:
        RunError: They are not.
    """
    if not point.folder:
        return Resumed(time=time.time(), step=0)
    index, step = state.position.phase, state.position.step
    session = PhaseSession(setup.recipe, index, setup.model, setup.plans[index], setup.splits)
    if session.hash_examples(step) != state.seen:
        raise RunError("the training examples are not those that the run has seen, so it cannot go on with them")
    return Resumed(
        time=time.time(),
        step=state.position.run_step,
        folder=str(point.folder.relative_to(run.folder)),
        inexact=state.inexact,
        phase_steps=session.steps,
    )
