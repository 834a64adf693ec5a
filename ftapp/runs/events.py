"""The typed events of a run.

Everything that shows a run (the progress bar, the result, panes, comparisons) is made from these and nothing else.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from ftapp.runs.answer_events import ExamplesWatched, NumbersCompared, SetsScored, WatchedAnswered
from ftapp.runs.event_types import Count, Event, MetricName, Number, Seconds, Share, Status, Step
from ftapp.runs.phase_events import (
    CacheVerified,
    Confused,
    Drifted,
    Evaluated,
    LayersChanged,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
    Sampled,
    Stepped,
    TokensShared,
)


class RunStarted(Event, frozen=True, kw_only=True, tag="run-started"):
    """The run began.

    Attributes:
        recipe: The recipe's name.
        profile: The profile that was applied; None for none.
        seed: The run's seed.
        backend: The library that Keras computes with.
        device: The device, in words.
        precision: The precision in force.
        reason: The reason for this precision, in words.
    """

    recipe: str
    profile: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    backend: str
    device: str
    precision: str
    reason: str


class Progressed(Event, frozen=True, kw_only=True, tag="progressed"):
    """Work before and after training: a download, reading the data, saving.

    Attributes:
        activity: The work, in words.
        done: How much of it is done.
        total: How much there is to do; None when unknown.
    """

    activity: str
    done: Count = 0
    total: Count | None = None


class DataLoaded(Event, frozen=True, kw_only=True, tag="data-loaded"):
    """The data were read and split. Sizes are in examples, for language models in sequences.

    Attributes:
        train: The size of the training split.
        validation: The size of the validation split.
        test: The size of the test split.
        classes: The names of the classes; empty for language models.
        duplicates: How many duplicates were dropped.
        counts: Examples of each class in the order of `classes`, by the name of the split; empty for language models.
        notes: Decisions that were made when the source was read, such as which folders are splits, in sentences.
    """

    train: Count
    validation: Count
    test: Count
    classes: list[str]
    duplicates: Count
    counts: dict[str, list[Count]] = {}
    notes: list[str] = []


class ModelBuilt(Event, frozen=True, kw_only=True, tag="model-built"):
    """The model was built, with its first weights.

    Attributes:
        parameters: The number of parameters of the model as trained.
        layers: How many layers hold weights.
        digest: A hash of all first weights.
        pretrained: A hash of the first weights that no new head holds.
        vocabulary: How many tokens a language model chooses among; 0 for classifiers.
    """

    parameters: Count
    layers: Count
    digest: str = ""
    pretrained: str = ""
    vocabulary: Count = 0


class Noted(Event, frozen=True, kw_only=True, tag="noted"):
    """A problem that the run solved by itself, such as damaged files or a full disk.

    Attributes:
        message: The problem, in words.
    """

    message: str


class Controlled(Event, frozen=True, kw_only=True, tag="controlled"):
    """The run answered a command (`ftapp.runs.commands`).

    Attributes:
        id: The command's id.
        command: The kind of command.
        applied: Whether it was carried out.
        reason: The reason why not, in words; None where it was.
        phase_index: The phase in which it was answered, counted from 0.
        step: How many steps were made before.
        rate: The base learning rate that the command asked for; None for other commands.
        layers: The layers that the command was to freeze or thaw; None for other commands.
        because: Why a sweep stopped the run; empty for other commands.
    """

    id: str
    command: str
    applied: bool
    reason: str | None = None
    phase_index: Count = 0
    step: Step
    rate: Number | None = None
    layers: str | None = None
    because: str = ""


class StateSaved(Event, frozen=True, kw_only=True, tag="state-saved"):
    """A checkpoint is on the disk: the state of the training after `step` steps, from which the run can go on.

    Attributes:
        folder: Relative to the run's.
        step: The steps of the run that are done.
        seconds: The time that the training stood still for it.
        size: Its bytes.
    """

    folder: str
    step: Step
    seconds: Seconds
    size: Count


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """The run goes on from a checkpoint, or from its beginning where it had none. Its log was cut there.

    Attributes:
        step: The steps of the run that were done.
        folder: The checkpoint, relative to the run's folder; empty for the beginning.
        inexact: Why the weights may not be those of a run that was never interrupted, in words; empty where they are.
        phase_steps: The steps of the phase in which it goes on, which may have become longer; 0 at the beginning.
    """

    step: Step
    folder: str = ""
    inexact: list[str] = []
    phase_steps: Step = 0


class BestRestored(Event, frozen=True, kw_only=True, tag="best-restored"):
    """The best weights so far took the place of those of the last step, before a phase or at the end of the run.

    Attributes:
        step: How many steps were made before.
        best_step: The step of the run whose weights these are.
        metric: The metric of the evaluation after that step by which they are the best.
        value: Its value.
    """

    step: Step
    best_step: Step
    metric: MetricName
    value: Number


class Checkpointed(Event, frozen=True, kw_only=True, tag="checkpointed"):
    """The model was saved while the run went on.

    Attributes:
        step: How many steps were made before.
        folder: The folder of the model, relative to the run's.
    """

    step: Step
    folder: str


class ModelSaved(Event, frozen=True, kw_only=True, tag="model-saved"):
    """The trained model was saved.

    Attributes:
        folder: The folder of the model, relative to the run's.
        step: How many steps the weights have behind them.
        flaw: The reason why the run failed, in words; empty for a run that did not fail.
        weights: A hash of all weights and statistics, in hex.
    """

    folder: str
    step: Step | None = None
    flaw: str = ""
    weights: str = ""


class Waited(Event, frozen=True, kw_only=True, tag="waited"):
    """The run waited until there was room on its disk again.

    Attributes:
        seconds: How long it waited.
    """

    seconds: Seconds


class ProcessorUsed(Event, frozen=True, kw_only=True, tag="processor-used"):
    """The load of the processor, every few seconds of a training.

    Attributes:
        step: How many steps were made before.
        own: The share of all cores' time since the event before that the run used.
        others: The share that other processes used.
    """

    step: Step
    own: Share
    others: Share


class GpuUsed(Event, frozen=True, kw_only=True, tag="gpu-used"):
    """The load of the GPU, every few seconds of a training that computes on one whose driver tells it.

    Attributes:
        step: How many steps were made before.
        busy: The share of the last moments in which it computed.
        used: Bytes of its memory that are in use, by all processes.
        memory: Bytes of memory that it has.
    """

    step: Step = 0
    busy: Share
    used: Count
    memory: Count


class RunEnded(Event, frozen=True, kw_only=True, tag="run-ended"):
    """The last event of a run that ended by itself.

    Attributes:
        status: The way in which it ended.
        steps: How many steps it made.
        seconds: Wall time without pauses.
        error: A message for its user; None for none.
        problems: The problems of a refused recipe, each a file, a key and a message.
    """

    status: Status
    steps: Step
    seconds: Seconds
    error: str | None = None
    problems: list[tuple[str, str, str]] = []


AnyEvent = (
    RunStarted
    | Progressed
    | DataLoaded
    | ModelBuilt
    | PhaseStarted
    | PhaseTimed
    | CacheVerified
    | Noted
    | PhaseEnded
    | LayersChanged
    | Stepped
    | Evaluated
    | Confused
    | SetsScored
    | NumbersCompared
    | ExamplesWatched
    | WatchedAnswered
    | Drifted
    | Sampled
    | TokensShared
    | Controlled
    | StateSaved
    | Resumed
    | BestRestored
    | Checkpointed
    | ModelSaved
    | Waited
    | ProcessorUsed
    | GpuUsed
    | RunEnded
)
