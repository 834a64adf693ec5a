"""The phases of a run as events: what a phase is going to do, and what it took and did to the weights."""

from __future__ import annotations

import time

from ftapp.runs.commands import Control
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import PhaseEnded, PhaseStarted
from ftapp.training.callbacks.callback import Callback
from ftapp.training.callbacks.freeze_proof import FreezeProof
from ftapp.training.cpu_share import OtherProcesses
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class PhaseLog(Callback):
    """Writes the beginning and the end of each phase."""

    def __init__(self, log: EventLog, control: Control, proof: FreezeProof) -> None:
        self._log, self._control, self._proof = log, control, proof
        self._others = OtherProcesses()
        self._session: PhaseSession

    def on_phase_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Write what the phase is going to do."""
        self._session = session
        self._others.begin()
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
            )
        )

    def on_phase_end(self, state: TrainState) -> None:
        """Write what the phase took and what it did to the weights, and stand up for it.

        Raises:
            ProofError: The freeze proof failed.
        """
        session, found, spent = self._session, self._proof.finding, state.spent
        self._log.write(
            PhaseEnded(
                time=time.time(),
                phase=session.phase.name,
                steps=state.position.step,
                seconds=self._control.clock() - state.phase_began,
                preparing=spent.preparing,
                training=spent.training,
                evaluating=spent.evaluating,
                seconds_saved=session.features["train"].seconds_saved if session.features else 0.0,
                memory=state.peak_memory,
                others=self._others.share(),
                frozen=found.frozen,
                digest=found.digest,
                changed=list(found.changed),
                moved=found.moved,
                still=list(found.still),
                stuck=list(self._proof.stuck),
                batches=state.seen.hex(),
            )
        )
        self._proof.check()
