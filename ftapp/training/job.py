"""The job of a run, read top to bottom: load the model, load the data, fit the phases, save."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras

from ftapp.common.downloads import Progress
from ftapp.common.errors import NotFiniteError, Problem, ProofError, RecipeError
from ftapp.data import DocumentSplits, Splits, preview
from ftapp.data.dataset import BatchKey, EncodedSplits
from ftapp.data.encoded import Images, load_encoded
from ftapp.freezing.layer_plan import LayerPlan, plan_phases
from ftapp.freezing.proof import combine, digest_weights
from ftapp.models import backend, build, saved_model
from ftapp.models.build import Pretrained
from ftapp.recipe import TASKS, Phase, Recipe
from ftapp.runs.commands import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import DataLoaded, ModelBuilt, ModelSaved, Progressed, RunStarted
from ftapp.runs.run_folder import Run
from ftapp.training import layer_rates
from ftapp.training.phases import Job

# Examples of a batch whose statistics normalize. With 2 in place of 32 the error of a ResNet-50 grows from 24% to 35%,
# with 4 to 27% (Wu & He 2018, "Group Normalization", table 2).
_LEAST_BATCH = 4
# Bytes of a saved weight: float32, in the preset and in the whole model.
_SIZE = 8
# Training images on the picture of the augmentation, and forms of each beside the unchanged one.
_IMAGES, _VIEWS = 4, 5


def train(
    recipe: Recipe,
    found: Splits | DocumentSplits | None,
    run: Run,
    log: EventLog,
    control: Control,
    progress: Progress,
) -> None:
    """Do the whole job. Everything worth knowing goes to `log`.

    found: the recipe's data, None where they are still to be read; progress: is told of downloads and preparations.
    Raises RecipeError when the recipe does not fit its model or data, RunError when the run cannot go on.
    """
    device = backend.device()
    precision, reason = backend.choose_precision(recipe.precision)
    facts = run.environment()
    log.write(
        RunStarted(
            time=time.time(),
            recipe=facts.get("recipe", run.folder.name),
            profile=facts.get("profile"),
            seed=recipe.seed,
            backend=recipe.backend,
            device=device,
            precision=precision,
            reason=reason,
        )
    )
    pretrained = build.load_pretrained(recipe, progress)
    splits = load_encoded(recipe, pretrained.preprocessor, progress, found)
    log.write(
        DataLoaded(
            time=time.time(),
            train=len(splits.train),
            validation=len(splits.validation),
            test=len(splits.test),
            classes=list(splits.classes),
            duplicates=splits.duplicates,
            counts={name: list(counts) for name, counts in splits.counts.items()},
            notes=list(splits.notes),
        )
    )
    if recipe.augmentation and isinstance(splits.train, Images):
        grid = splits.train.grid(_IMAGES, _VIEWS, BatchKey(recipe.seed, 0, 0, 0))
        control.save(lambda: preview.sheet(grid, run.augmentation_file), grid.nbytes)
    model, plans = build_model(recipe, pretrained, splits)
    layers, weights = plans[0].descriptions, digest_weights(plans[0])
    ours = tuple(f"{layer.path}/" for layer in layers if "head" in layer.groups)
    log.write(
        ModelBuilt(
            time=time.time(),
            parameters=model.count_params(),
            layers=len(layers),
            digest=combine(weights),
            pretrained=combine({name: each for name, each in weights.items() if not name.startswith(ours)}),
            vocabulary=pretrained.backbone.vocabulary_size if TASKS[recipe.task].labels == "tokens" else 0,
        )
    )
    control.can_wait = True
    failure: Exception | None = None
    with Job(recipe, pretrained, model, plans, splits, run, log, control) as job:
        try:
            job.begin()
            for index in range(len(recipe.phase)):
                job.fit(index)
            job.conclude()
        except Exception as error:  # whatever it is, what has been trained is kept
            failure = error
        step = job.restore() if isinstance(failure, NotFiniteError) else control.steps
    if failure is None or step:
        log.write(Progressed(time=time.time(), activity="saving the model"))
        marks = _marks(failure, step, is_whole=not control.stopping)
        try:
            control.save(
                lambda: saved_model.save(run.model_folder, recipe, pretrained, model, splits.classes, marks),
                _SIZE * model.count_params(),
            )
        except Exception as error:
            raise (failure or error) from error
        flaw = str(failure) if failure else ""
        log.write(ModelSaved(time=time.time(), folder=run.model_folder.name, step=step, flaw=flaw))
    if failure is not None:
        raise failure


def _marks(failure: Exception | None, step: int, *, is_whole: bool) -> dict[str, Any]:
    """What a saved model says of how its training ended. is_whole: whether it was not interrupted."""
    if failure is None:
        return {"status": "done" if is_whole else "interrupted", "step": step, "proof": "passed"}
    proof = "failed" if isinstance(failure, ProofError) else None
    return {"status": "failed", "step": step, "proof": proof, "error": str(failure)}


def build_model(recipe: Recipe, pretrained: Pretrained, splits: EncodedSplits) -> tuple[keras.Model, list[LayerPlan]]:
    """Build the model as the run begins with it, and plan its phases.

    Raises:
        RecipeError: The phases do not fit the model.
    """
    # Right before the new layers are drawn, so that nothing else of the recipe has a say in their first weights.
    keras.utils.set_random_seed(recipe.seed)
    model = build.build(recipe, pretrained, len(splits.classes))
    plans = plan_phases(recipe, model, pretrained.backbone)
    check_phases(recipe, plans, model)
    return model, plans


def check_phases(recipe: Recipe, plans: Sequence[LayerPlan], model: keras.Model) -> None:
    """Check that the rules, learning rates and batch sizes of all phases fit the model.

    Raises:
        RecipeError: Some do not; it has all problems.
    """
    planned = list(zip(recipe.phase, plans, strict=True))
    problems = [
        Problem("", f"phase.{phase.name}.layers", message) for phase, plan in planned for message in plan.problems
    ]
    problems += [
        Problem("", f"phase.{phase.name}.learning_rate", message)
        for phase, plan in planned
        for message in layer_rates.problems(phase, plan)
    ]
    problems += [
        Problem("", f"phase.{phase.name}.batch_size", message)
        for phase, plan in planned
        if (message := _batch_problem(phase, model, plan))
    ]
    if problems:
        raise RecipeError(problems)


def _batch_problem(phase: Phase, model: keras.Model, plan: LayerPlan) -> str | None:
    """Why the batches of a phase are too small for the layers that train in it; None when they are not."""
    trained = {id(decision.layer) for decision in plan.trained_layers}
    count = sum(id(layer) in trained for layer in build.batch_normalized(model))
    if phase.batch_size >= _LEAST_BATCH or not count:
        return None
    layers = ", ".join(f'"{rule}"' for rule in (*phase.layers, "freeze norms"))
    return (
        f"batches of {phase.batch_size} are too small for the {count} layers of batch normalization that train in this "
        f"phase; they take mean and variance from each batch, which needs {_LEAST_BATCH} examples or more; --set "
        f"phase.{phase.name}.batch_size=16, or keep their pretrained statistics: --set 'phase.{phase.name}.layers="
        f"[{layers}]'"
    )
