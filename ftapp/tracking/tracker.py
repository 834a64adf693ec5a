"""What is sent to trackers, and what all of them do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ftapp.common.errors import RunError
from ftapp.recipe.metrics import LOSS
from ftapp.runs.events import AnyEvent, GpuUsed, ProcessorUsed
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, Sampled, Stepped

Plain = str | int | float | bool


@dataclass(frozen=True)
class Numbers:
    """Numbers of one moment of a run.

    Attributes:
        group: What they are about: train, validation, held-out (test examples that the run is watched on), test (its
            result), system, processor or gpu.
        step: How many steps were made.
        time: Seconds since the Unix epoch.
        values: The numbers by name, without the group.
    """

    group: str
    step: int
    time: float
    values: Mapping[str, float]

    @property
    def named(self) -> dict[str, float]:
        """The numbers by their full names, such as `validation/loss`."""
        return {f"{self.group}/{name}": value for name, value in self.values.items()}


@dataclass(frozen=True)
class Sample:
    """A text that a model wrote.

    Attributes:
        step: How many steps were made.
        time: Seconds since the Unix epoch.
        prompt: The prompt.
        text: The continuation.
    """

    step: int
    time: float
    prompt: str
    text: str

    group = "samples"


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it.

    Attributes:
        folder: The run's folder, whose name is the name of the run.
        group: The experiment that it belongs to; None where it belongs to none.
        job: The arm of the experiment; None where it has none.
        config: The keys of the recipe and facts of the machine, by dotted names.
        created: When the run was made, in seconds since the Unix epoch.
        offline: Whether no network call is made.
    """

    folder: Path
    group: str | None
    job: str | None
    config: Mapping[str, Plain]
    created: float
    offline: bool

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.name

    def check_online(self) -> None:
        """Check that a server may be called.

        Raises:
            RunError: No network call is made.
        """
        if self.offline:
            raise RunError("with --offline, nothing is sent to a server")


class Tracker(Protocol):
    """A client of one tracker, for one run. Any method may raise any error of the client's library."""

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Begin, or go on with, a run of the tracker.

        Args:
            run: The run.
            target: The project, the experiment or the kind of file.
            former: What `start` returned for this run before; "" for the first time.

        Returns:
            What identifies the run there.
        """

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Send numbers and samples, and return once they are in the hands of the tracker."""

    def finish(self, history: History, status: str) -> str:
        """End the run of the tracker.

        Args:
            history: All that the run has recorded.
            status: Its status.

        Returns:
            Where people look at it: an address, a folder or a command.
        """


def read_records(event: AnyEvent) -> Iterator[Numbers | Sample]:
    """Read what an event has for trackers.

    Args:
        event: The event.

    Yields:
        Its numbers and samples.
    """
    match event:
        case Stepped():
            values = {LOSS.name: event.loss, **event.metrics, "learning_rate": event.rate, "epoch": event.epoch}
            if event.gradient_norm is not None:
                values["gradient_norm"] = event.gradient_norm
            yield Numbers("train", event.step, event.time, values)
            system = {"seconds_per_step": event.seconds, "memory": event.memory}
            yield Numbers("system", event.step, event.time, system)
        case Evaluated():
            values = {**event.values, **{f"int8_{name}": value for name, value in event.quantized.items()}}
            group = "test" if event.final else "held-out" if event.split == "test" else event.split
            yield Numbers(group, event.step, event.time, values)
        case ProcessorUsed():
            yield Numbers("processor", event.step, event.time, {"own": event.own, "others": event.others})
        case GpuUsed():
            yield Numbers("gpu", event.step, event.time, {"busy": event.busy, "memory": event.used})
        case Sampled():
            yield Sample(event.step, event.time, event.prompt, event.text)
        case _:
            pass


def flatten(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Plain]:
    """Flatten nested tables into plain values by dotted names. Phases have their names in the place of numbers."""
    found: dict[str, Plain] = {}
    for key, value in tables.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flatten(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value, 1):
                rest = {part: inner for part, inner in each.items() if part != "name"}
                found |= flatten(rest, f"{name}.{each.get('name', number)}.")
        elif isinstance(value, str | int | float | bool):
            found[name] = value
        else:
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found
