"""A run as its events tell it: a pure fold of events into what progress bars, results and panes show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from ftapp.events import (
    AnyEvent,
    CacheVerified,
    DataLoaded,
    Evaluated,
    ModelBuilt,
    ModelSaved,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
    Progressed,
    RunEnded,
    RunStarted,
    Sampled,
    Stepped,
)

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
    timed: list[PhaseTimed] = field(default_factory=list)
    verified: list[CacheVerified] = field(default_factory=list)
    steps: list[Stepped] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    saved: ModelSaved | None = None
    ended: RunEnded | None = None

    @classmethod
    def of(cls, events: Iterable[AnyEvent]) -> History:
        """The history that these events tell."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

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
            case Sampled():
                self.samples.append(event)
            case ModelSaved():
                self.saved = event
            case RunEnded():
                self.ended = event

    @property
    def result(self) -> Evaluated | None:
        """The final evaluation on the whole test split, once there is one."""
        return next((evaluation for evaluation in reversed(self.evaluations) if evaluation.final), None)

    @property
    def trainable_share(self) -> float | None:
        """R: trainable / total parameters of the latest phase."""
        return self.phases[-1].trainable / self.phases[-1].parameters if self.phases else None

    @property
    def steps_per_second(self) -> float | None:
        """Of the last ten steps, by their median, so that a compilation among them does not count."""
        times = sorted(step.seconds for step in self.steps[-10:])
        return 1 / times[len(times) // 2] if times and times[len(times) // 2] else None

    def summary(self) -> dict[str, Any]:
        """The result of the run as `ftapp run --json` prints it, without the run's name and folder."""
        result, ended = self.result, self.ended
        return {
            "metrics": {"loss": result.loss} | _accuracy(result) if result else {},
            "history": [
                {"step": evaluation.step, "split": evaluation.split, "loss": evaluation.loss} | _accuracy(evaluation)
                for evaluation in self.evaluations
            ],
            "phases": [_phase(phase, _of(phase, self.timed), _of(phase, self.ended_phases)) for phase in self.phases],
            "trainable_share": self.trainable_share,
            "steps": len(self.steps),
            "seconds": round(ended.seconds, 3) if ended else None,
            "steps_per_second": self.steps_per_second,
            "peak_memory": max((step.memory for step in self.steps), default=None),
            "samples": [{"step": sample.step, "prompt": sample.prompt, "text": sample.text} for sample in self.samples],
            "backend": self.started.backend if self.started else None,
            "precision": self.started.precision if self.started else None,
            "error": ended.error if ended else None,
        }


def _of(phase: PhaseStarted, events: Iterable[_Event]) -> _Event | None:
    """The event that is about a phase, if there is one yet."""
    return next((event for event in events if event.phase == phase.phase), None)


def _phase(started: PhaseStarted, timed: PhaseTimed | None, ended: PhaseEnded | None) -> dict[str, Any]:
    """What a phase was expected to be and, once it is over, what it took and the freeze proof."""
    expected = msgspec.structs.asdict(started.estimate) if started.estimate else {}
    told = {
        "name": started.phase,
        "steps": started.steps,
        "trainable_share": started.trainable / started.parameters,
        "cache": msgspec.structs.asdict(started.cache) if started.cache else None,
        "estimate": expected | {"seconds": timed.seconds if timed else None},
    }
    if ended is None:
        return told
    spent = ("steps", "seconds", "preparing", "training", "evaluating", "memory")
    proof = ("frozen", "digest", "changed", "moved", "still", "stuck")
    return told | {
        "outcome": {name: getattr(ended, name) for name in spent},
        "proof": {name: getattr(ended, name) for name in proof},
    }


def _accuracy(evaluation: Evaluated) -> dict[str, float]:
    return {} if evaluation.accuracy is None else {"accuracy": evaluation.accuracy}
