"""The phases of a run as events: what a phase is going to do, how its layers change, and what it took and did."""

from __future__ import annotations

import time

from ftapp.runs.control import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import LayersChanged, PhaseEnded, PhaseStarted, SegmentProof
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.early_stop import EarlyStop
from ftapp.training.callbacks.freeze_proof import FreezeProof
from ftapp.training.cpu_share import ProcessorLoad
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class PhaseLog(Callback):
    """Writes the beginning and the end of each phase, and the changes of its layers."""

    def __init__(self, log: EventLog, control: Control, proof: FreezeProof, early: EarlyStop) -> None:
        self._log, self._control, self._proof, self._early = log, control, proof, early
        self._load = ProcessorLoad()
        self._session: PhaseSession
        self._segment_steps: int | None = None  # of the segment that this process has ended in the phase

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Write what the phase, or a further segment of it, is going to do.

        Raises:
            ProofError: The freeze proof of the segment before failed.
        """
        self._session = session
        if self._segment_steps is not None:
            self._write_change(state, self._segment_steps)
            self._proof.check()
            return
        self._load.begin()
        if state.position.step:  # a resumed run goes on in the phase
            return
        plan = session.plan
        self._log.write(
            PhaseStarted(
                time=time.time(),
                phase=session.phase.name,
                first_step=state.position.run_step + 1,
                steps=session.steps,
                epochs=session.steps / session.per_epoch,
                trainable=plan.trainable_parameters,
                parameters=plan.parameters,
                trainable_layers=[decision.path for decision in plan.trained_layers],
                cache=session.choice,
                estimate=session.estimate(),
                adapters=plan.adapter_parameters,
            )
        )

    def _write_change(self, state: TrainState, steps: int) -> None:
        """Write that other layers train. steps: of the segment before."""
        session = self._session
        self._log.write(
            LayersChanged(
                time=time.time(),
                phase=session.phase.name,
                step=state.position.run_step,
                rules=state.commanded_rules[: state.in_force],
                trainable=session.plan.trainable_parameters,
                trainable_layers=[decision.path for decision in session.plan.trained_layers],
                cache=session.choice,
                estimate=session.estimate(),
                adapters=session.plan.adapter_parameters,
                proof=SegmentProof(steps=steps, **self._proof.list_facts()),
            )
        )

    def on_segment_end(self, state: TrainState) -> None:
        """Remember the length of the segment."""
        self._segment_steps = state.position.step - state.segment_step

    def on_phase_end(self, state: TrainState) -> None:
        """Write what the phase took and what it did to the weights, and stand up for it.

        Raises:
            ProofError: The freeze proof failed.
        """
        session, spent = self._session, state.spent
        self._segment_steps = None
        self._log.write(
            PhaseEnded(
                time=time.time(),
                phase=session.phase.name,
                steps=state.position.step,
                seconds=self._control.clock() - state.phase_began,
                preparing=spent.preparing,
                training=spent.training,
                evaluating=spent.evaluating,
                seconds_saved=session.cached["train"].seconds_saved if session.cached else 0.0,
                memory=state.peak_memory,
                others=self._load.measure()[1],
                **self._proof.list_facts(),
                batches=state.seen.hex(),
                stopped=self._early.explain(state),
            )
        )
        self._proof.check()
