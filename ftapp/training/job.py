"""The job of a run, read top to bottom: set up, train, save."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import keras

from ftapp.common.downloads import Progress
from ftapp.common.errors import NotFiniteError, ProofError
from ftapp.data import DocumentSplits, Splits, thumbnails
from ftapp.data.dataset import BatchKey, EncodedSplits
from ftapp.data.encoded import Images, load_encoded
from ftapp.freezing.layer_plan import LayerPlan
from ftapp.freezing.proof import combine, digest_weights
from ftapp.models import backend, build, saved_model
from ftapp.models.build import Pretrained
from ftapp.recipe import TASKS, Recipe
from ftapp.runs.commands import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import DataLoaded, ModelBuilt, ModelSaved, Progressed, RunStarted
from ftapp.runs.run_folder import Run
from ftapp.training.build_model import build_model
from ftapp.training.callbacks.bookmark import Bookmark
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.commands import Commands
from ftapp.training.callbacks.drift import DriftLog
from ftapp.training.callbacks.evaluator import Evaluator
from ftapp.training.callbacks.freeze_proof import FreezeProof
from ftapp.training.callbacks.last_good import LastGood
from ftapp.training.callbacks.phase_log import PhaseLog
from ftapp.training.callbacks.samples import SampleWriter
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.callbacks.time_estimate import TimeEstimate
from ftapp.training.callbacks.verify_features import VerifyFeatures
from ftapp.training.loop import train_phase
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

# Bytes of a saved weight: float32, in the preset and in the whole model.
_SIZE = 8
# Training images on the picture of the augmentation, and forms of each beside the unchanged one.
_IMAGES, _VIEWS = 4, 5


@dataclass(frozen=True)
class Job:
    """What a run trains, and where it writes."""

    recipe: Recipe
    pretrained: Pretrained
    model: keras.Model
    plans: Sequence[LayerPlan]
    splits: EncodedSplits
    run: Run
    log: EventLog
    control: Control


def do_job(
    recipe: Recipe,
    found: Splits | DocumentSplits | None,
    run: Run,
    log: EventLog,
    control: Control,
    state: TrainState,
    progress: Progress,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Do the whole job of a run. Everything worth knowing goes to the log.

    Args:
        recipe: What to do.
        found: The recipe's data; None where they are still to be read.
        run: The folder of the run.
        log: The run's events.
        control: What comes from outside.
        state: The state of the training, which moves on with each step.
        progress: Is told of downloads and preparations.
        callbacks: The user's own, called after those that evaluate and sample, and before the run's log of the phase.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The run cannot go on.
    """
    job = set_up(recipe, found, run, log, control, progress)
    good = LastGood()
    failure: Exception | None = None
    try:
        train(job, state, good, callbacks)
    except Exception as error:  # whatever it is, what has been trained is kept
        failure = error
    step = (good.restore() or 0) if isinstance(failure, NotFiniteError) else state.position.run_step
    if failure is None or step:
        save(job, failure, step)
    if failure is not None:
        raise failure


def set_up(
    recipe: Recipe,
    found: Splits | DocumentSplits | None,
    run: Run,
    log: EventLog,
    control: Control,
    progress: Progress,
) -> Job:
    """Choose the device and the precision, load the model and the data, and check that the phases fit them.

    The arguments and errors are those of `do_job`.
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
        grid = splits.train.make_grid(_IMAGES, _VIEWS, BatchKey(recipe.seed, 0, 0, 0))
        control.save(lambda: thumbnails.write_sheet(grid, run.augmentation_file), grid.nbytes)
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
    return Job(recipe, pretrained, model, plans, splits, run, log, control)


def train(job: Job, state: TrainState, good: LastGood, own: Sequence[Callback] = ()) -> None:
    """Train all phases from the state's position on.

    Args:
        job: What to train.
        state: The state of the training.
        good: Keeps the last weights with which the loss was finite.
        own: The user's callbacks.

    Raises:
        NotFiniteError: The loss is not finite.
        ProofError: A frozen weight changed, or a trained one did not although it should have.
    """
    control, log = job.control, job.log
    steps = StepLog(log, control, good, is_late=backend.computes_ahead())
    proof = FreezeProof()
    commands = Commands(job.run, job.pretrained, log, control, steps)
    # In the order in which they are called: the event of a step first, and commands last.
    callbacks: list[Callback] = [
        steps,
        TimeEstimate(log, control, steps),
        proof,
        good,
        VerifyFeatures(log),
        Evaluator(log, control, steps, good),
        DriftLog(log, control, steps),
        SampleWriter(job.recipe, job.pretrained, job.splits, log, control, steps),
        *own,
        PhaseLog(log, control, proof),
        Bookmark(log, control),
        commands,
    ]
    for callback in callbacks:
        callback.on_run_begin(state)
    optimizer: Any = None
    with ExitStack() as held:
        for index in range(state.position.phase, len(job.recipe.phase)):
            if control.should_stop():
                break
            held.close()
            if state.position.step == 0 or state.position.phase != index:
                state.elapsed = control.clock()
                state.begin_phase(index)
            session = held.enter_context(
                PhaseSession(
                    job.recipe,
                    index,
                    job.model,
                    job.plans[index],
                    job.splits,
                    former=optimizer,
                    report=commands.report,
                    clock=control.clock,
                    spent=state.spent,
                )
            )
            optimizer = session.optimizer
            train_phase(session, state, callbacks, control.should_stop)
        for callback in callbacks:
            callback.on_run_end(state)


def save(job: Job, failure: Exception | None, step: int) -> None:
    """Save the model, with marks that say how its training ended.

    Args:
        job: What was trained.
        failure: Why the training failed; None where it did not.
        step: The steps of the run that the weights have behind them.
    """
    job.log.write(Progressed(time=time.time(), activity="saving the model"))
    marks = _marks(failure, step, is_whole=not job.control.stopping)
    folder, classes = job.run.model_folder, job.splits.classes
    try:
        job.control.save(
            lambda: saved_model.save(folder, job.recipe, job.pretrained, job.model, classes, marks),
            _SIZE * job.model.count_params(),
        )
    except Exception as error:
        raise (failure or error) from error
    flaw = str(failure) if failure else ""
    job.log.write(ModelSaved(time=time.time(), folder=folder.name, step=step, flaw=flaw))


def _marks(failure: Exception | None, step: int, *, is_whole: bool) -> dict[str, Any]:
    """What a saved model says of how its training ended. is_whole: whether it was not interrupted."""
    if failure is None:
        return {"status": "done" if is_whole else "interrupted", "step": step, "proof": "passed"}
    proof = "failed" if isinstance(failure, ProofError) else None
    return {"status": "failed", "step": step, "proof": proof, "error": str(failure)}
