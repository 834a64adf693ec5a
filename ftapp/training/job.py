"""The job of a run, read top to bottom: set up, train, save."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from ftapp.common.downloads import Progress
from ftapp.common.errors import NotFiniteError, ProofError, RunError
from ftapp.common.formatting import format_quantity
from ftapp.data import DocumentSplits, Splits, thumbnails
from ftapp.data.dataset import BatchKey, EncodedSplits
from ftapp.data.encoded import Images
from ftapp.freezing.proof import combine, digest_weights
from ftapp.models import backend, saved_model
from ftapp.models.structure import describe_structure
from ftapp.recipe import Recipe
from ftapp.runs.checkpoints import CheckpointFacts, ResumePoint, hash_recipe
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import DataLoaded, ModelSaved, Progressed
from ftapp.runs.machine import find_processor, list_packages
from ftapp.runs.narration import ENGINES, describe_engine
from ftapp.runs.replay import read_commands
from ftapp.runs.rewind import drop_former_log
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.structure_file import write_structure
from ftapp.training import start_events
from ftapp.training.callbacks.best_weights import BestWeights
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.checkpointer import Checkpointer
from ftapp.training.callbacks.commands import Commands
from ftapp.training.callbacks.drift import DriftLog
from ftapp.training.callbacks.early_stop import EarlyStop
from ftapp.training.callbacks.evaluator import Evaluator
from ftapp.training.callbacks.example_log import ExampleLog
from ftapp.training.callbacks.freeze_proof import FreezeProof
from ftapp.training.callbacks.last_good import LastGood
from ftapp.training.callbacks.machine_log import MachineLog
from ftapp.training.callbacks.phase_log import PhaseLog
from ftapp.training.callbacks.samples import SampleWriter
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.callbacks.time_estimate import TimeEstimate
from ftapp.training.callbacks.verify_features import VerifyFeatures
from ftapp.training.checkpoint import TrainingCheckpoint, list_changing, read_checkpoint, restore_values
from ftapp.training.gpu_monitor import GpuMonitor
from ftapp.training.loop import train_phase
from ftapp.training.segments import list_plans, plan_segment
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Setup, choose_device, set_up
from ftapp.training.state import TrainState

# Training images on the picture of the augmentation, and forms of each beside the unchanged one.
_IMAGES, _VIEWS = 4, 5


@dataclass(frozen=True)
class Job:
    """What a run trains, and where it writes.

    Attributes:
        setup: What it works on.
        run: The folder of the run.
        log: The run's events.
        control: What comes from outside.
        checkpoint: From which the run goes on; None at its beginning.
        built: A hash of the weights that the run begins with.
    """

    setup: Setup
    run: RunFolder
    log: EventLog
    control: Control
    checkpoint: TrainingCheckpoint | None
    built: str


def do_job(
    recipe: Recipe,
    found: Splits | DocumentSplits | None,
    run: RunFolder,
    log: EventLog,
    control: Control,
    state: TrainState,
    progress: Progress,
    point: ResumePoint | None = None,
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
        progress: Receives downloads and preparations.
        point: Where the run goes on, if it has begun before.
        callbacks: The user's own, called after those that evaluate and sample, and before the run's log of the phase.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The run cannot go on.
    """
    job = prepare(recipe, found, run, log, control, state, progress, point)
    good, best = LastGood(), BestWeights(job.setup, log)
    failure: Exception | None = None
    try:
        train(job, state, good, best, callbacks)
    except Exception as error:  # whatever it is, what has been trained is kept
        failure = error
    step = state.weights_step
    if isinstance(failure, NotFiniteError):
        step = best.restore(state) if best.has_trained(state) else good.restore() or 0
    if failure is None or step:
        save(job, failure, step, state.thresholds)
    if failure is not None:
        raise failure


def prepare(
    recipe: Recipe,
    found: Splits | DocumentSplits | None,
    run: RunFolder,
    log: EventLog,
    control: Control,
    state: TrainState,
    progress: Progress,
    point: ResumePoint | None,
) -> Job:
    """Set up the training, and tell of it; a run that goes on compares it with what was told at its beginning.

    The arguments and errors are those of `do_job`.
    """
    checkpoint = read_checkpoint(point.folder, point.facts) if point and point.folder and point.facts else None
    if checkpoint:
        device = choose_device(checkpoint.facts.precision, recipe.devices)
    else:
        device = choose_device(recipe.precision, recipe.devices)
        log.write(start_events.describe_start(recipe, device, run))

    def tell_data(splits: EncodedSplits) -> None:
        event = start_events.describe_data(splits)
        if checkpoint:
            _compare(event, run.history().data)
        else:
            log.write(event)

    setup = set_up(recipe, device, found, progress, tell_data)
    built = start_events.describe_model(setup)
    if checkpoint is None:
        log.write(built)
        _draw_augmentation(setup, run, control)
    elif built.digest != checkpoint.facts.built:
        raise RunError("the weights of the preset are not those that the run began with, so it cannot go on from them")
    _write_structure(setup, run)
    if point:
        log.write(start_events.describe_seam(setup, point, state, run))
        drop_former_log(run)
    control.can_wait = True
    return Job(setup, run, log, control, checkpoint, built.digest)


def _draw_augmentation(setup: Setup, run: RunFolder, control: Control) -> None:
    recipe, train = setup.recipe, setup.splits.train
    if recipe.augmentation and isinstance(train, Images):
        grid = train.make_grid(_IMAGES, _VIEWS, BatchKey(recipe.seed, 0, 0, 0))
        control.save(lambda: thumbnails.write_sheet(grid, run.augmentation_file), grid.nbytes)


def _write_structure(setup: Setup, run: RunFolder) -> None:
    """Write the layers of the model, for who freezes and thaws them while the run goes on. No run fails without."""
    classes = len(setup.splits.classes) or None
    with suppress(OSError):
        write_structure(run, describe_structure(setup.layers, classes))


def _compare(event: DataLoaded, former: DataLoaded | None) -> None:
    """Compare an event with that of the run's beginning.

    Raises:
        RunError: They differ.
    """
    if former and msgspec.structs.replace(event, time=former.time) != former:
        before, now = former.train + former.validation + former.test, event.train + event.validation + event.test
        counts = f": {format_quantity(now, 'example')}, and {before} before" if now != before else ""
        raise RunError(f"the data are not those that the run began with{counts}, so it cannot go on with them")


def train(job: Job, state: TrainState, good: LastGood, best: BestWeights, own: Sequence[Callback] = ()) -> None:
    """Train all phases from the state's position on.

    Args:
        job: What to train.
        state: The state of the training.
        good: Keeps the last weights with which the loss was finite.
        best: Keeps the best weights, with which the run ends if its recipe says so.
        own: The user's callbacks.

    Raises:
        NotFiniteError: The loss is not finite.
        ProofError: A frozen weight changed, or a trained one did not although it should have.
    """
    control, log, setup = job.control, job.log, job.setup
    steps = StepLog(log, control, good, is_late=backend.computes_ahead())
    proof, early = FreezeProof(), EarlyStop(setup.recipe.stop)
    commands = Commands(job.run, setup, log, control, steps, early, read_commands(job.run))
    # In the order in which they are called: checkpoints, the event of a step, what follows from it, commands.
    callbacks: list[Callback] = [
        Checkpointer(job.run, setup.recipe.checkpoint, _describe(job), setup, log, control, steps, best),
        steps,
        MachineLog(log, None if setup.device.name.startswith("cpu") else GpuMonitor.open()),
        TimeEstimate(log, control, steps),
        proof,
        good,
        VerifyFeatures(log),
        Evaluator(log, control, steps, good, ExampleLog(job.run, control)),
        best,
        early,
        DriftLog(setup, log, control, steps),
        SampleWriter(setup.recipe, setup.pretrained, setup.splits, log, control, steps),
        *own,
        PhaseLog(log, control, proof, early),
        commands,
    ]
    for callback in callbacks:
        callback.on_run_begin(state)
    optimizer: Any = None
    former: Any = None  # of the last segment that made a step
    began = 0  # the step of the run at which the newest segment began
    checkpoint = job.checkpoint
    if checkpoint:
        restore_values(list_changing(setup.model, list_plans(setup, state)), checkpoint.weights)
        best.resume(state, checkpoint)
        state.phase_began += control.clock() - state.elapsed  # loading the model again is no time of the phase
    session: PhaseSession | None = None
    with ExitStack() as held:

        def open_session() -> PhaseSession:
            nonlocal session, optimizer, checkpoint, former, began
            held.close()
            commands.wait_for_session()
            if state.position.run_step > began:
                former = optimizer  # commands that come while a session opens end it before its first step
            began = state.segment_began
            index, rules = state.position.phase, state.commanded_rules[: state.in_force]
            session = held.enter_context(
                PhaseSession(
                    setup.recipe,
                    index,
                    setup.model,
                    plan_segment(setup, index, rules),
                    setup.splits,
                    calls=setup.calls,
                    begin=state.segment_step,
                    former=former,
                    saved=checkpoint.optimizer if checkpoint else None,
                    report=commands.report,
                    clock=control.clock,
                    spent=state.spent,
                )
            )
            if checkpoint and (difference := _compare_features(session, checkpoint.facts)):
                raise RunError(difference)
            optimizer, checkpoint = session.optimizer, None
            return session

        for index in range(state.position.phase, len(setup.recipe.phase)):
            if control.should_stop():
                break
            if state.position.step == 0 or state.position.phase != index:
                if setup.recipe.stop and best.restore(state) != state.position.run_step:
                    optimizer = former = None  # its moments belong to other weights
                state.elapsed = control.clock()
                state.begin_phase(index)
            train_phase(open_session, state, callbacks, lambda: control.should_stop() or early.is_over(state))
        if best.restore(state) < state.segment_began and session:
            session.drop_features()  # what is frozen now may have trained since
        for callback in callbacks:
            callback.on_run_end(state)


def save(job: Job, failure: Exception | None, step: int, thresholds: list[float] | None = None) -> None:
    """Save the model, with marks that say how its training ended.

    Args:
        job: What was trained.
        failure: Why the training failed; None where it did not.
        step: The steps of the run that the weights have behind them.
        thresholds: The scores from which on an example has each class, where the result has them.
    """
    job.log.write(Progressed(time=time.time(), activity="saving the model"))
    marks = _marks(failure, step, job.control.stop_status or "done")
    if thresholds is not None:
        marks["thresholds"] = thresholds
    folder, setup = job.run.model_folder, job.setup

    def write() -> None:
        saved_model.save(folder, setup.recipe, setup.pretrained, setup.model, setup.splits.classes, marks)

    try:
        job.control.save(write, saved_model.estimate_size(setup.model))
    except Exception as error:
        raise (failure or error) from error
    flaw = str(failure) if failure else ""
    weights = combine(digest_weights(setup.plans[0]))
    job.log.write(ModelSaved(time=time.time(), folder=folder.name, step=step, flaw=flaw, weights=weights))


def _describe(job: Job) -> CheckpointFacts:
    """What is the same for all checkpoints of this process."""
    setup = job.setup
    return CheckpointFacts(
        time=time.time(),
        step=0,
        offset=0,
        recipe=hash_recipe(setup.recipe),
        backend=setup.recipe.backend,
        device=setup.device.name,
        precision=setup.device.precision,
        packages=list_packages(),
        processor=find_processor(),
        cores=os.cpu_count() or 1,
        built=job.built,
        cached=False,
    )


def _compare_features(session: PhaseSession, facts: CheckpointFacts) -> str:
    """Say how the features that the phase trains on differ from those of a checkpoint; "" where they do not."""
    choice = session.choice
    if bool(session.cached) != facts.cached:
        if session.cached:
            return "the phase trains on cached features now and did not before; its weights would differ by rounding"
        return f"the phase trained on cached features before and cannot now: {choice.reason}"
    if not session.cached or (choice.engine, session.is_quantized) == (facts.engine, facts.int8):
        return ""
    kind = "int8" if facts.int8 else "float"
    return f"the phase trained on {kind} features of {ENGINES[facts.engine]} before{describe_engine(choice)}"


def _marks(failure: Exception | None, step: int, status: Status) -> dict[str, Any]:
    """What a saved model says of how its training ended. status: of a run that has not failed."""
    if failure is None:
        return {"status": status, "step": step, "proof": "passed"}
    proof = "failed" if isinstance(failure, ProofError) else None
    return {"status": "failed", "step": step, "proof": proof, "error": str(failure)}
