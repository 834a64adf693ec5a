"""Checkpoints of a training: the states from which it can go on, saved now and then and at the end of each phase."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common.durable import discard, remove_leftovers, sync
from ftapp.common.full_disk import is_full
from ftapp.common.safe_files import explain_error
from ftapp.recipe import Checkpoints
from ftapp.runs.checkpoints import CheckpointFacts, list_checkpoints, name_checkpoint
from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import Noted, StateSaved
from ftapp.runs.run_folder import RunFolder
from ftapp.training.callbacks.best_weights import BestWeights
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.step_log import StepLog
from ftapp.training.checkpoint import TrainingCheckpoint, copy_values, list_changing
from ftapp.training.optimizers import save_optimizer
from ftapp.training.segments import list_plans
from ftapp.training.session import PhaseSession
from ftapp.training.setup import Setup
from ftapp.training.state import TrainState

# The training stands still for at most one part in so many of its time.
_SPACING = 100


class Checkpointer(Callback):
    """Copies the state of the training between steps, and writes it to the disk on another thread.

    It is the first callback: when the training waits for the next batch, all others are through with the step, and at
    the end of a segment none has begun with it.
    """

    def __init__(
        self,
        run: RunFolder,
        spec: Checkpoints,
        facts: CheckpointFacts,
        setup: Setup,
        log: EventLog,
        control: Control,
        steps: StepLog,
        best: BestWeights,
    ) -> None:
        """Save the states of a run.

        Args:
            run: The run.
            spec: When they are saved, and how many are kept.
            facts: What is the same for all checkpoints of this process.
            setup: What the run works on.
            log: The event log, whose length belongs to a checkpoint.
            control: Has the clock.
            steps: Is brought up to date before a state is saved.
            best: Has the best weights so far, which belong to a checkpoint.
        """
        self._run, self._spec, self._facts, self._setup = run, spec, facts, setup
        self._log, self._control, self._steps, self._best = log, control, steps, best
        self._session: PhaseSession
        self._writer = ThreadPoolExecutor(1, "checkpoint")
        self._writing: tuple[Future[None], TrainingCheckpoint, StateSaved] | None = None
        self._left: tuple[TrainingCheckpoint, StateSaved] | None = None  # the last one, for which there was no room
        self._saved_step = -1
        self._due = time.monotonic() + spec.every_seconds

    def on_run_begin(self, state: TrainState) -> None:
        """Take in the checkpoint from which the run goes on, and remove what cannot be used.

        Damaged checkpoints of later steps would count as newer than those to come.
        """
        self._saved_step = state.position.run_step
        remove_leftovers(self._run.folder)
        remove_leftovers(self._run.checkpoints_folder)
        for step, folder in list_checkpoints(self._run):
            if step > self._saved_step:
                _remove(folder)

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Save this segment's states from now on."""
        self._session = session

    def on_batch_wait(self, state: TrainState) -> None:
        """Save the state if it is time to."""
        self._take_result()
        every, step = self._spec.every_steps, state.position.run_step
        is_due = self._writing is None and time.monotonic() >= self._due
        if state.position.step and (is_due or (every and step % every == 0)):
            self.save(state)

    def on_segment_end(self, state: TrainState) -> None:
        """Save the state at the end of the segment, or where the run is asked to end."""
        if state.position.step:
            self.save(state)

    def on_run_end(self, state: TrainState) -> None:
        """Wait until the last state is on the disk, and for room where it is full."""
        self.finish()
        if self._left:
            (checkpoint, event), self._left = self._left, None
            folder = self._run.folder / event.folder
            try:
                self._control.save(lambda: self._write(checkpoint, folder), checkpoint.size)
            except Exception as error:
                self._tell_failure(event.step, error)
            else:
                self._log.write(msgspec.structs.replace(event, time=time.time()))

    def save(self, state: TrainState) -> None:
        """Copy the state, and begin to write it. Writes an event once it is on the disk, or says why it is not."""
        step = state.position.run_step
        if step == self._saved_step:
            return
        self.finish()
        begun = time.monotonic()
        self._steps.flush()
        state.elapsed, state.events_offset = self._control.clock(), self._log.offset
        facts = msgspec.structs.replace(
            self._facts,
            time=time.time(),
            step=step,
            offset=state.events_offset,
            cached=bool(self._session.cached),
            engine=self._session.choice.engine,
            int8=self._session.is_quantized,
        )
        try:
            variables = list_changing(self._setup.model, list_plans(self._setup, state))
            checkpoint = TrainingCheckpoint(
                facts,
                msgspec.json.encode(state),
                copy_values(variables),
                save_optimizer(self._session.optimizer),
                self._best.get_values(step, state),
            )
        except MemoryError as error:
            self._tell_failure(step, error)
            return
        folder = self._run.checkpoints_folder / name_checkpoint(step)
        stood = time.monotonic() - begun
        event = StateSaved(
            time=facts.time,
            step=step,
            folder=str(folder.relative_to(self._run.folder)),
            seconds=stood,
            size=checkpoint.size,
        )
        self._saved_step, self._left = step, None
        self._due = time.monotonic() + max(self._spec.every_seconds, _SPACING * stood)
        try:
            self._writing = self._writer.submit(self._write, checkpoint, folder), checkpoint, event
        except RuntimeError as error:  # there is no memory for a thread
            self._saved_step = -1
            self._tell_failure(step, error)

    def finish(self) -> None:
        """Wait until the state that is being written is on the disk, and tell of it."""
        if self._writing:
            self._writing[0].exception()
            self._take_result()

    def _write(self, checkpoint: TrainingCheckpoint, folder: Path) -> None:
        """Write a checkpoint and remove old ones. Runs on the other thread."""
        if not checkpoint.is_finite:
            raise ValueError("a weight is infinite or not a number")
        sync(self._run.events_file)  # a power cut leaves all events that belong to the checkpoint
        checkpoint.write(folder, self._control.confirm_writing)
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove all but the newest checkpoints, and those whose model a command has saved."""
        for step, folder in list_checkpoints(self._run)[self._spec.keep :]:
            if not self._run.snapshot_folder(step).exists():
                _remove(folder)

    def _take_result(self) -> None:
        """Tell of the state that was being written, if it is not any more."""
        if self._writing is None or not self._writing[0].done():
            return
        (future, checkpoint, event), self._writing = self._writing, None
        if (error := future.exception()) is None:
            self._log.write(msgspec.structs.replace(event, time=time.time()))
        else:
            self._saved_step = -1
            self._left = (checkpoint, event) if is_full(error) else None
            self._tell_failure(event.step, error)

    def _tell_failure(self, step: int, error: BaseException) -> None:
        message = (
            f"the checkpoint of step {step} could not be saved: {explain_error(error)}; the run goes on and tries again"
        )
        self._log.write(Noted(time=time.time(), message=message))


def _remove(folder: Path) -> None:
    """Remove a checkpoint, as a whole also if the process is killed, unless that is not allowed."""
    with suppress(OSError):
        discard(folder)
