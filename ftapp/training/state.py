"""The state of a training: all that a run needs to go on later, beside its weights and the state of its optimizer.

What else a step works with follows from the recipe and the position: the batch, its augmentation, the learning rate.

A segment is a stretch of a phase in which the same layers train. A phase has one segment, unless its layers are frozen
or thawed by commands while it trains.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ftapp.common.errors import RunError
from ftapp.common.safe_files import UNREADABLE, explain_error, read_bytes
from ftapp.runs.answer_events import NumbersCompared, SetsScored
from ftapp.runs.checkpoints import STATE_FILE, CheckpointFacts
from ftapp.runs.phase_events import Confused, Evaluated

_DIGEST = 16  # bytes


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        phase: The index of the phase, from 0.
        epoch: The epoch of the last step, counted from 1 in each phase; 0 before the first step of a phase.
        step: The steps of the phase that are done.
        run_step: The steps of the run that are done.
    """

    phase: int = 0
    epoch: int = 0
    step: int = 0
    run_step: int = 0


@dataclass
class SpentSeconds:
    """What the time of a phase went into, in seconds, without pauses.

    Attributes:
        preparing: Computing features to keep.
        training: Steps with their wait for data.
        evaluating: Measuring held-out examples.
    """

    preparing: float = 0.0
    training: float = 0.0
    evaluating: float = 0.0


@dataclass(frozen=True)
class Patience:
    """How long a phase has gone on without an improvement of the watched metric.

    Attributes:
        step: The step of the run after the last evaluation that counts; -1 before the first of the phase.
        best_step: The step of the run after the evaluation since which there was no improvement.
        best: The metric there; None before the first evaluation of the phase.
        waited: Evaluations since then.
        length: The planned steps of the phase.
    """

    step: int = -1
    best_step: int = 0
    best: float | None = None
    waited: int = 0
    length: int = 0


@dataclass
class TrainState:
    """The state after a step, which msgspec encodes and decodes.

    Attributes:
        position: Where the run is.
        rate_factor: The learning rate as a multiple of the phase's own, as commanded.
        rules: By the index of a phase, the rules that were commanded in it, in order.
        in_force: How many of the present phase's commanded rules are in force.
        segment_step: The steps of the phase before its present segment.
        rate_sum: The learning rates of the segment's steps, summed.
        seen: A chained hash of the examples of the phase's steps: seen = H(seen + keys of the batch).
        elapsed: Seconds of the run on the clock that stands still in pauses.
        phase_began: `elapsed` at the beginning of the phase.
        spent: What the phase's time went into.
        events_offset: Bytes of the event log that belong to this state; a run that goes on cuts what is behind them.
        evaluated: The last evaluation.
        best: The evaluation with the best weights so far, where the run keeps them.
        restored_step: The step of the run whose weights took the place of those of the last step; None where none did.
        patience: How long the phase has gone on without an improvement.
        answers: What tells of the answers of the last evaluation, unless they are tokens.
        segment_digests: A hash of each weight at the beginning of the segment, by name (`ftapp.freezing.proof`).
        drift_step: The step of the run after which the drift of weights was last written.
        sample_step: The step of the run after which samples were last written; -1 before the first.
        peak_memory: The most resident bytes of the process at the end of a step of the phase.
        inexact: Why the weights may not be those of a run that was never interrupted, in words.
    """

    position: Position = Position()
    rate_factor: float = 1.0
    rules: dict[int, list[str]] = field(default_factory=dict)
    in_force: int = 0
    segment_step: int = 0
    rate_sum: float = 0.0
    seen: bytes = b""
    elapsed: float = 0.0
    phase_began: float = 0.0
    spent: SpentSeconds = field(default_factory=SpentSeconds)
    events_offset: int = 0
    evaluated: Evaluated | None = None
    best: Evaluated | None = None
    restored_step: int | None = None
    patience: Patience = Patience()
    answers: Confused | SetsScored | NumbersCompared | None = None
    segment_digests: dict[str, bytes] = field(default_factory=dict)
    drift_step: int = 0
    sample_step: int = -1
    peak_memory: int = 0
    inexact: list[str] = field(default_factory=list)

    @property
    def segment_began(self) -> int:
        """The step of the run at which the present segment began."""
        return self.position.run_step - self.position.step + self.segment_step

    @property
    def weights_step(self) -> int:
        """The step of the run whose weights the model has."""
        return self.position.run_step if self.restored_step is None else self.restored_step

    def begin_phase(self, index: int) -> None:
        """Go to the beginning of a phase, at the current step of the run."""
        self.position = Position(phase=index, run_step=self.position.run_step)
        self.rate_factor, self.seen = 1.0, b""
        self.spent, self.phase_began, self.peak_memory = SpentSeconds(), self.elapsed, 0
        self.patience = Patience()
        self.begin_segment()

    def begin_segment(self) -> None:
        """Put the rules in force that were commanded in the phase, from its current step on."""
        self.in_force, self.segment_step = len(self.commanded_rules), self.position.step
        self.segment_digests, self.rate_sum = {}, 0.0

    @property
    def thresholds(self) -> list[float] | None:
        """The score of each class from which on an example has it, as the result has them; None where it has none."""
        return self.answers.thresholds if isinstance(self.answers, SetsScored) and self.answers.final else None

    @property
    def commanded_rules(self) -> list[str]:
        """The rules that were commanded in the present phase, in order."""
        return self.rules.get(self.position.phase, [])

    @property
    def has_new_rules(self) -> bool:
        """Whether rules were commanded that are not in force yet."""
        return len(self.commanded_rules) > self.in_force

    def add_rule(self, rule: str) -> None:
        """Take in a rule that was commanded in the present phase."""
        self.rules.setdefault(self.position.phase, []).append(rule)

    def advance(self, epoch: int, examples: bytes, rate: float) -> None:
        """Take in that a step is done.

        Args:
            epoch: The step's epoch in the phase, from 1.
            examples: The keys of its examples.
            rate: Its base learning rate.
        """
        now = self.position
        self.position = Position(now.phase, epoch, now.step + 1, now.run_step + 1)
        self.seen = chain_examples(self.seen, examples)
        self.rate_sum += rate
        self.restored_step = None


def read_state(checkpoint: Path, facts: CheckpointFacts) -> TrainState:
    """Read the state of the training from a checkpoint.

    Args:
        checkpoint: Its folder.
        facts: What it says of itself.

    Raises:
        RunError: Another version of ftapp has written it, or it is not of this checkpoint.
    """
    file = checkpoint / STATE_FILE
    try:
        state = msgspec.json.decode(read_bytes(file), type=TrainState)
    except (OSError, *UNREADABLE) as error:
        raise RunError(f"{file} cannot be read: {explain_error(error)}") from error
    position = state.position
    if position.run_step != facts.step or not 0 < position.step <= position.run_step or position.phase < 0:
        raise RunError(f"{file} is of step {position.run_step}; a checkpoint of step {facts.step} holds that step's")
    return state


def chain_examples(seen: bytes, examples: bytes) -> bytes:
    """Hash the examples of one more step into the hash of those before.

    Args:
        seen: The hash so far; empty at first.
        examples: The keys of the step's examples, joined.
    """
    return hashlib.blake2b(seen + examples, digest_size=_DIGEST).digest()
