"""A run as its events tell it: a pure fold of events into what progress bars, results and panes show."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ftapp.common.formatting import format_quantity
from ftapp.common.tail_reader import PIECE
from ftapp.recipe.metrics import sort_names
from ftapp.runs.answer_events import ExamplesWatched, NumbersCompared, SetsScored, WatchedAnswered
from ftapp.runs.event_reader import EventReader
from ftapp.runs.events import (
    AnyEvent,
    BestRestored,
    Checkpointed,
    Controlled,
    DataLoaded,
    GpuUsed,
    ModelBuilt,
    ModelSaved,
    Noted,
    ProcessorUsed,
    Progressed,
    Resumed,
    RunEnded,
    RunStarted,
    StateSaved,
)
from ftapp.runs.older_events import UnnamedDrift
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
from ftapp.runs.steps import Steps

_Event = TypeVar("_Event", PhaseTimed, PhaseEnded)


@dataclass
class History:
    """What is known of a run so far. Each field holds the events of its kind, or the last of them."""

    started: RunStarted | None = None
    activity: Progressed | None = None
    data: DataLoaded | None = None
    model: ModelBuilt | None = None
    phases: list[PhaseStarted] = field(default_factory=list)
    ended_phases: list[PhaseEnded] = field(default_factory=list)
    layer_changes: list[LayersChanged] = field(default_factory=list)
    timed: list[PhaseTimed] = field(default_factory=list)
    verified: list[CacheVerified] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    steps: Steps = field(default_factory=Steps)
    evaluations: list[Evaluated] = field(default_factory=list)
    confusions: list[Confused] = field(default_factory=list)
    set_scores: list[SetsScored] = field(default_factory=list)
    comparisons: list[NumbersCompared] = field(default_factory=list)
    drifts: list[Drifted] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    token_shares: list[TokensShared] = field(default_factory=list)
    controlled: list[Controlled] = field(default_factory=list)
    checkpoints: list[Checkpointed] = field(default_factory=list)
    state: StateSaved | None = None
    watched: ExamplesWatched | None = None
    watched_answers: list[WatchedAnswered] = field(default_factory=list)
    processor_loads: list[ProcessorUsed] = field(default_factory=list)
    gpu_loads: list[GpuUsed] = field(default_factory=list)
    resumed: list[Resumed] = field(default_factory=list)
    restored: list[BestRestored] = field(default_factory=list)
    saved: ModelSaved | None = None
    ended: RunEnded | None = None
    was_lengthened: bool = False
    """Whether a phase became longer where the run went on."""
    damaged: int = 0
    """Lines of the file that could not be read."""

    @classmethod
    def of(cls, events: Iterable[AnyEvent]) -> History:
        """The history that these events tell."""
        history = cls()
        history.apply_all(events)
        return history

    @classmethod
    def of_file(cls, path: Path) -> History:
        """The history that a file of events tells, read piece by piece: a million steps in about a second."""
        follower = Follower(path)
        while follower.advance():
            pass
        return follower.history

    def apply_all(self, events: Iterable[AnyEvent]) -> None:
        """Take more events in: the same as to apply each, and ten times as fast where most are steps."""
        found: list[Any] = list(events)
        kinds = set(map(type, found))
        if len(kinds) == 1 and issubclass(next(iter(kinds)), Stepped):  # as nearly all pieces of a long run
            self.steps.extend(found)
            return
        steps: list[Stepped] = []
        for event in found:
            if isinstance(event, Stepped):
                steps.append(event)
            else:
                self.apply(event)
        self.steps.extend(steps)

    def apply(self, event: AnyEvent) -> None:
        """Take one more event in."""
        match event:
            case Stepped():
                self.steps.append(event)
            case Evaluated():
                self.evaluations.append(event)
            case RunStarted():
                self.started = event
            case Progressed():
                self.activity = event
            case DataLoaded():
                self.data = event
            case ModelBuilt():
                self.model = event
            case PhaseStarted():
                self.phases.append(event)
            case PhaseEnded():
                self.ended_phases.append(event)
            case PhaseTimed():
                self.timed.append(event)
            case CacheVerified():
                self.verified.append(event)
            case Noted():
                self.notes.append(event)
            case Confused():
                self.confusions.append(event)
            case SetsScored():
                self.set_scores.append(event)
            case NumbersCompared():
                self.comparisons.append(event)
            case ExamplesWatched():
                self.watched = event
            case WatchedAnswered():
                self.watched_answers.append(event)
            case LayersChanged():
                self.layer_changes.append(event)
                self._change_layers(event)
            case UnnamedDrift():
                layers = next((each.trainable_layers for each in self.phases if each.phase == event.phase), [])
                self.drifts.append(event.name_layers(layers))
            case Drifted():
                self.drifts.append(event)
            case Sampled():
                self.samples.append(event)
            case TokensShared():
                self.token_shares.append(event)
            case Controlled():
                self.controlled.append(event)
            case Checkpointed():
                self.checkpoints.append(event)
            case StateSaved():
                self.state = event
            case ProcessorUsed():
                self.processor_loads.append(event)
            case GpuUsed():
                self.gpu_loads.append(event)
            case Resumed():
                self.resumed.append(event)
                self._lengthen(event.phase_steps)
            case BestRestored():
                self.restored.append(event)
            case ModelSaved():
                self.saved = event
            case RunEnded():
                self.ended = event

    def _change_layers(self, event: LayersChanged) -> None:
        """Let the latest phase tell of the layers that train from now on."""
        if self.phases:
            self.phases[-1] = msgspec.structs.replace(
                self.phases[-1],
                trainable=event.trainable,
                adapters=event.adapters,
                trainable_layers=event.trainable_layers,
                cache=event.cache,
                estimate=event.estimate,
            )

    def _lengthen(self, steps: int) -> None:
        """Give the latest phase its length, which may have changed where the run went on."""
        if steps and self.phases:
            phase = self.phases[-1]
            self.was_lengthened |= steps != phase.steps
            epochs = phase.epochs * steps / phase.steps
            self.phases[-1] = msgspec.structs.replace(phase, steps=steps, epochs=epochs)

    def happened(self) -> list[AnyEvent]:
        """All but steps and progress, in the order of time."""
        single = [self.started, self.data, self.model, self.saved, self.ended]
        lists: list[Any] = [self.phases, self.ended_phases, self.timed, self.verified, self.evaluations, self.samples]
        lists += [self.controlled, self.layer_changes, self.checkpoints, self.resumed, self.restored, self.notes]
        events: list[Any] = [event for event in single if event is not None]
        return sorted(itertools.chain(events, *lists), key=lambda event: event.time)

    def damage(self) -> str | None:
        """How much of the file could not be read, in words; None when all could."""
        if not self.damaged:
            return None
        return f"{format_quantity(self.damaged, 'damaged line')} in its events.jsonl"

    @property
    def result(self) -> Evaluated | None:
        """The final evaluation on the whole test split, once there is one."""
        return next((evaluation for evaluation in reversed(self.evaluations) if evaluation.final), None)

    @property
    def kept(self) -> BestRestored | None:
        """What tells of the best weights that the saved model has; None where it has those of the last step."""
        last = self.restored[-1] if self.restored and self.saved else None
        return last if last and self.saved and self.saved.step == last.best_step else None

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics beside the loss that steps or evaluations have."""
        return sort_names((*self.steps.metrics, *(name for each in self.evaluations for name in each.metrics)))

    def _describe_phase(self, started: PhaseStarted) -> dict[str, Any]:
        """What a phase was expected to be, how its layers changed and, once it is over, its time and freeze proof."""
        timed, ended = _of(started, self.timed), _of(started, self.ended_phases)
        expected = msgspec.structs.asdict(started.estimate) if started.estimate else {}
        facts = {
            "name": started.phase,
            "steps": started.steps,
            "trainable_share": started.trainable / started.parameters,
            "cache": msgspec.to_builtins(started.cache) if started.cache else None,
            "estimate": expected | {"seconds": timed.seconds if timed else None},
            "layer_changes": [
                {
                    "step": each.step,
                    "rules": each.rules,
                    "trainable_share": each.trainable / started.parameters,
                    "proof": msgspec.structs.asdict(each.proof),
                }
                for each in self.layer_changes
                if each.phase == started.phase
            ],
        }
        if ended is None:
            return facts
        spent = ("steps", "seconds", "preparing", "training", "evaluating", "seconds_saved", "memory")
        proof = ("frozen", "digest", "changed", "moved", "still", "stuck", "batches")
        return facts | {
            "outcome": {name: getattr(ended, name) for name in spent} | {"stopped": ended.stopped or None},
            "proof": {name: getattr(ended, name) for name in proof},
        }

    @property
    def paused(self) -> bool:
        """Whether the run waits for a command to go on."""
        words = (each.command for each in reversed(self.controlled) if each.applied)
        last = next((command for command in words if command in ("pause", "resume", "stop")), None)
        return last == "pause" and self.ended is None

    @property
    def trainable_share(self) -> float | None:
        """R: trainable / total parameters of the latest phase."""
        return self.phases[-1].trainable / self.phases[-1].parameters if self.phases else None

    @property
    def seams(self) -> list[int]:
        """The first steps after a resume, and the first steps with other layers."""
        steps = {*(each.step for each in self.resumed), *(each.step for each in self.layer_changes)}
        return sorted(step + 1 for step in steps if step)

    @property
    def commanded_rules(self) -> list[str]:
        """The rules that were commanded in the latest phase and are in force."""
        changes = [each.rules for each in self.layer_changes if self.phases and each.phase == self.phases[-1].phase]
        return changes[-1] if changes else []

    @property
    def steps_per_second(self) -> float | None:
        """Of the last ten steps, by their median, so that a compilation among them does not count."""
        times = sorted(self.steps.seconds[-10:])
        return 1 / times[len(times) // 2] if times and times[len(times) // 2] else None

    def summary(self) -> dict[str, Any]:
        """The result of the run as `ftapp run --json` prints it, without the run's name and folder."""
        result, ended = self.result, self.ended
        return {
            "metrics": result.values if result else {},
            "int8_metrics": result.quantized if result else {},
            "history": [
                {"step": evaluation.step, "split": evaluation.split, **evaluation.values}
                for evaluation in self.evaluations
            ],
            "classes": self.data.classes if self.data else [],
            "counts": self.data.counts if self.data else {},
            "data_notes": self.data.notes if self.data else [],
            "confusion": next((each.counts for each in self.confusions if each.final), None),
            "phases": [self._describe_phase(phase) for phase in self.phases],
            "trainable_share": self.trainable_share,
            "steps": len(self.steps),
            "seconds": round(ended.seconds, 3) if ended else None,
            "steps_per_second": self.steps_per_second,
            "peak_memory": max(self.steps.memory, default=None),
            "samples": [{"step": sample.step, "prompt": sample.prompt, "text": sample.text} for sample in self.samples],
            "checkpoints": [{"step": saved.step, "folder": saved.folder} for saved in self.checkpoints],
            "resumed": [{"step": each.step, "inexact": each.inexact} for each in self.resumed],
            "weights": self.saved.weights or None if self.saved else None,
            "weights_step": self.saved.step if self.saved else None,
            "restored": [
                {"step": each.step, "best_step": each.best_step, "metric": each.metric, "value": each.value}
                for each in self.restored
            ],
            "backend": self.started.backend if self.started else None,
            "precision": self.started.precision if self.started else None,
            "notes": [note.message for note in self.notes],
            "error": ended.error if ended else None,
        }


class Follower:
    """A history that follows its file of events as it grows.

    It begins anew when another file, or a shorter one, has taken the file's place.
    """

    def __init__(self, path: Path) -> None:
        self.history = History()
        self._reader = EventReader(path)
        self._restarts = 0

    def advance(self, limit: int = PIECE) -> bool:
        """Take in what at most `limit` bytes tell, and return whether there is more to take in at once."""
        events = self._reader.read(limit, compact=True)
        if self._reader.restarts != self._restarts:
            self.history, self._restarts = History(), self._reader.restarts
        self.history.apply_all(events)
        self.history.damaged = self._reader.damaged
        return not self._reader.caught_up


def _of(phase: PhaseStarted, events: Iterable[_Event]) -> _Event | None:
    """The latest event that is about a phase, if there is one yet."""
    return next((event for event in reversed(list(events)) if event.phase == phase.phase), None)
