"""What a list of runs shows of each, read from the two ends of its events, so that a long run costs no more than a
short one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

from ftapp.common.safe_files import open_file, reason
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs import outcome
from ftapp.runs.event_reader import decode
from ftapp.runs.events import AnyEvent, Controlled, Evaluated, PhaseStarted, Progressed, RunEnded, RunStarted, Stepped
from ftapp.runs.history import History
from ftapp.runs.run_folder import NAME, Run, folders

_END = 2**16  # bytes read at either end of a file of events: some 300 steps
_MOST_WINDOWS = 500  # of `_END` bytes that are read of one file, in which the phases of a long run are looked for

_Event = TypeVar("_Event", RunStarted, RunEnded, PhaseStarted, Stepped, Evaluated)


@dataclass(frozen=True)
class Summary:
    """One run in a line.

    status: as `Run.status` has it, or "damaged", with the reason in `error`. created and seconds: when it was made, in
    seconds since the Unix epoch, and how long it took or has taken so far. steps: those done; first_step, last_step:
    those of the phase it is in. metrics: by name, with the loss among them, of the latest held-out evaluation, which is
    the result if `final`, and of the latest step before there is one. share: R of the latest phase. doubtful: whether
    its result has warnings (`ftapp.runs.outcome`), as far as both ends tell. paused: whether it waits for a
    command. parent, arm, repeat: of a run that belongs to an experiment, the name of that one's folder, and which run
    it is; nested: whether it stands below that one in a list.

    An experiment has a line too: `experiment` is it, `run` only its folder; ended, planned: how many of its runs have
    ended, and how many it comes to.
    """

    run: Run
    status: str
    recipe: str
    profile: str | None = None
    created: float | None = None
    seconds: float | None = None
    steps: int = 0
    phase: str | None = None
    first_step: int = 1
    last_step: int | None = None
    activity: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    final: bool = False
    share: float | None = None
    doubtful: bool = False
    paused: bool = False
    error: str | None = None
    parent: str | None = None
    arm: str | None = None
    repeat: int = 1
    nested: bool = False
    experiment: Experiment | None = None
    ended: int = 0
    planned: int = 0

    @property
    def progress(self) -> float | None:
        """The share of the current phase's steps that are done."""
        if self.last_step is None:
            return None
        return (self.steps - self.first_step + 1) / (self.last_step - self.first_step + 1)


class Summaries:
    """The runs of a folder and its experiments, summed up. What cannot have changed is not read again.

    Several threads may read at once.
    """

    def __init__(self, folder: Path) -> None:
        """folder: that of all runs; it need not exist."""
        self._folder = folder.absolute()
        self._reading = Lock()
        self._known: dict[str, tuple[tuple[int, ...], Summary]] = {}

    def read(self) -> Iterator[Summary]:
        """All runs and experiments, the newest first, each as soon as it is read."""
        names = folders(self._folder)
        for name in set(self._known) - set(names):
            self._known.pop(name, None)
        found: list[tuple[str, Experiment | None]] = [(name, None) for name in names]
        found += [(each.folder.name, each) for each in experiment_folder.list_experiments(self._folder)]
        for name, experiment in sorted(found, key=lambda each: each[0], reverse=True):
            yield self.experiment(experiment) if experiment else self._summary(name)

    def experiment(self, experiment: Experiment) -> Summary:
        """One experiment of the folder."""
        members = [self._summary(member.run.folder.name) for member in experiment.members()]
        return summarize_experiment(experiment, members)

    def _summary(self, name: str) -> Summary:
        with self._reading:  # so that two threads do not read the same run
            signature, known = _signature(f"{self._folder}/{name}"), self._known.get(name)
            if known is None or known[0] != signature or _lives_otherwise(known[1]):
                known = self._known[name] = signature, summarize(Run(self._folder / name))
            return known[1]


def _lives_otherwise(summary: Summary) -> bool:
    """Whether a run that has not told its end lives although it did not when it was summed up, or the reverse."""
    untold = summary.status in ("running", "crashed", "damaged")
    return untold and summary.run.alive() is not (summary.status == "running")


def _signature(folder: str) -> tuple[int, ...]:
    """Changes when a run's events do, or when its folder does. On text: paths would take as long as the rest."""
    found = []
    for name in ("events.jsonl", "recipe.toml", "environment.json", ""):
        try:
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116
            found += [status.st_mtime_ns, status.st_size, status.st_mode]
        except OSError:
            found.append(-1)
    return tuple(found)


def summarize(run: Run) -> Summary:
    """Sum a run up from its environment and the two ends of its events. What is missing or damaged is said in it."""
    living = run.alive()  # asked first: a run that ends in between has told its end
    events, unreadable = _ends(run.events_file)
    environment = run.environment()
    started = _last(events, RunStarted)
    ended, phase, step = _last(events, RunEnded), _last(events, PhaseStarted), _last(events, Stepped)
    evaluation, activity = _last(events, Evaluated), events[-1] if events else None
    shown = evaluation or step
    damage = run.damage() or unreadable
    status = ended.status if ended else "crashed"
    named, created = _named(run.folder)
    created = environment.get("created") or (started.time if started else created)
    last_time = events[-1].time if events else None
    return Summary(
        run=run,
        status="running" if living and not ended else "damaged" if damage else status,
        recipe=environment.get("recipe") or (started.recipe if started else named),
        profile=environment.get("profile") or (started.profile if started else None),
        created=created,
        seconds=ended.seconds if ended else last_time - created if last_time and created else None,
        steps=step.step if step else ended.steps if ended else 0,
        phase=phase.phase if phase else None,
        first_step=phase.first_step if phase else 1,
        last_step=phase.first_step + phase.steps - 1 if phase else None,
        activity=activity.activity if isinstance(activity, Progressed) else None,
        metrics={"loss": shown.loss, **shown.metrics} if shown else {},
        final=evaluation is not None and evaluation.final,
        share=phase.trainable / phase.parameters if phase else None,
        paused=living and History.of(event for event in events if isinstance(event, Controlled | RunEnded)).paused,
        error=damage or (_reason(ended) if ended else None),
        parent=environment.get("experiment"),
        arm=environment.get("arm"),
        repeat=environment.get("repeat", 1),
        doubtful=outcome.is_doubtful(History.of(events)),
    )


def summarize_experiment(experiment: Experiment, members: Sequence[Summary]) -> Summary:
    """Sum an experiment up. members: its runs."""
    facts = experiment.facts
    created = facts.get("created")
    ends = [each.created + each.seconds for each in members if each.created and each.seconds is not None]
    return Summary(
        run=Run(experiment.folder),
        status=experiment.status([each.status for each in members]),
        recipe=facts.get("recipe", experiment.folder.name),
        profile=facts.get("profile"),
        created=created,
        seconds=max(ends) - created if ends and created else None,
        steps=sum(each.steps for each in members),
        experiment=experiment,
        ended=sum(each.status != "running" for each in members),
        planned=experiment.planned,
        error=experiment.damage() or experiment.refusal or None,
    )


def _reason(ended: RunEnded) -> str | None:
    return ended.error or "; ".join(": ".join(filter(None, parts)) for parts in ended.problems) or None


def _last(events: Sequence[AnyEvent], kind: type[_Event]) -> _Event | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _ends(path: Path) -> tuple[list[AnyEvent], str | None]:
    """The events at both ends of a file, with the phases between them, or why there are none, in words.

    Of a long file, evaluations at its beginning are left out, since they say nothing of how the run stands.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= 2 * _END:
                events = [event for _, event in _decoded(file.read(), 0)]
                return events, "its events.jsonl holds no event that can be read" if size and not events else None
            windows = _Windows(file)
            head = [event for _, event in windows.at(0) if not isinstance(event, Evaluated)]
            tail = [event for _, event in windows.at(size - _END)]
            events = [*head, *_phases(windows, size, tail), *tail]
            return events, None if events else "its events.jsonl holds no event that can be read"
    except FileNotFoundError:
        return [], None
    except OSError as error:
        return [], f"its events.jsonl cannot be read: {reason(error)}"


def _phases(windows: _Windows, size: int, tail: Sequence[AnyEvent]) -> Iterator[PhaseStarted]:
    """The phases that a long file tells of, to that of the last step. Steps ascend, so each is found by bisection."""
    step = _last(tail, Stepped)
    offset, reached = 0, 0
    while step is not None and step.step > reached:
        found = _next_phase(windows, offset, size, reached)
        if found is None:
            return
        offset, phase = found
        yield phase
        reached = phase.first_step + phase.steps - 1
        end = size
        while end - offset > _END and windows.left:
            middle = (offset + end) // 2
            number = _next_step(windows, middle, end)
            offset, end = (middle, end) if number is not None and number <= reached else (offset, middle)


def _next_phase(windows: _Windows, offset: int, size: int, reached: int) -> tuple[int, PhaseStarted] | None:
    """The first phase behind an offset and where the line after it begins; None where a step beyond comes first."""
    while offset < size and windows.left:
        window = windows.at(offset)
        for end, event in window:
            if isinstance(event, PhaseStarted) and event.first_step > reached:
                return end, event
            if isinstance(event, Stepped) and event.step > reached:
                return None
        offset = window[-1][0] if window else offset + _END
    return None


def _next_step(windows: _Windows, offset: int, end: int) -> int | None:
    """The number of the first step behind an offset."""
    while offset < end and windows.left:
        for _, event in windows.at(offset):
            if isinstance(event, Stepped):
                return event.step
        offset += _END
    return None


class _Windows:
    """Pieces of a long file, of which a bounded number is read. left: how many more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = _MOST_WINDOWS

    def at(self, offset: int) -> list[tuple[int, AnyEvent]]:
        """The events of the lines that begin at an offset or behind it, in one read, each with where its line ends."""
        self.left -= 1
        self._file.seek(max(0, offset - 1))
        data = self._file.read(_END + 1)
        first = data.find(b"\n") + 1 if offset else 0  # the line before ends here, or the one that is cut
        return list(_decoded(data[first:], max(0, offset - 1) + first))


def _decoded(data: bytes, offset: int) -> Iterator[tuple[int, AnyEvent]]:
    """The events of whole lines, each with where its line ends. offset: where the data begin."""
    for line in data.split(b"\n")[:-1]:
        offset += len(line) + 1
        if (event := decode(line)) is not None:
            yield offset, event


def _named(folder: Path) -> tuple[str, float | None]:
    """Recipe and time of making, as far as a folder's name tells."""
    match = NAME.fullmatch(folder.name)
    if not match:
        return folder.name, None
    with suppress(ValueError, OverflowError):
        return match["rest"], time.mktime(time.strptime(match["created"], "%Y%m%d-%H%M%S"))
    return match["rest"], None
