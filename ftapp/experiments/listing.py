"""Summaries of runs for lists. A long run costs no more than a short one: its log is not read as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeVar

from ftapp.common.formatting import format_quantity
from ftapp.common.safe_files import explain_error, open_file
from ftapp.experiments import experiment_lookup
from ftapp.experiments.experiment_folder import Experiment
from ftapp.runs import annotation, result_warnings, status
from ftapp.runs.annotation import NOTHING, Annotations
from ftapp.runs.event_reader import decode, read
from ftapp.runs.events import AnyEvent, Controlled, Progressed, RunEnded, RunStarted
from ftapp.runs.history import History
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped
from ftapp.runs.recipe_facts import UNKNOWN, RecipeFacts, read_recipe_facts
from ftapp.runs.run_filter import Facts
from ftapp.runs.run_folder import GOING_ON, RunFolder
from ftapp.runs.run_lookup import list_folders, make_folder_key
from ftapp.runs.run_names import parse_name

_END = 2**16  # bytes that are read at either end of a long log: some 300 steps
_SHORT = 2**23  # bytes of a log that is read as a whole where there is no status.json: some 40,000 steps, 0.1 s

_Event = TypeVar("_Event", RunStarted, RunEnded, PhaseStarted, Stepped, Evaluated)


@dataclass(frozen=True)
class Summary:
    """One run in a line.

    An experiment has a line too: `experiment` is it, `run` only its folder.

    Attributes:
        run: The run's folder.
        status: As `Run.status` has it, or "damaged", with the reason in `error`.
        place: In which queue it waits and why, in words; "" where it does not wait.
        recipe: The recipe's name.
        profile: The profile that was applied; None for none.
        created: When it was made, in seconds since the Unix epoch.
        seconds: How long it took or has taken so far.
        steps: How many steps it has made.
        phase: The name of the phase that it is in; None where that is not known.
        first_step: The first step of the phase that it is in.
        last_step: The last step of that phase.
        activity: The work that goes on before or after training, in words; None while it trains.
        metrics: By name, with the loss among them, of the latest held-out evaluation, and of the latest step before
            there is one.
        final: Whether that evaluation is the result.
        share: R of the latest phase, 0 to 1.
        doubtful: Whether its result has warnings (`ftapp.runs.result_warnings`), by the events that are read.
        paused: Whether it waits for a command.
        error: The reason why it failed or is damaged; None for none.
        facts: Its task, its model and its data.
        written: Its tags and its note.
        owner: The name of the person who has started it; "" for the user of the machine.
        parent: Of a run that belongs to an experiment, the name of that one's folder.
        arm: Which run of the experiment it is.
        repeat: Likewise, counted from 1.
        fold: Likewise; None without folds.
        nested: Whether it stands below its experiment in a list.
        experiment: The experiment that the line is about; None for a run.
        ended: Of an experiment, how many of its runs have ended.
        planned: Of an experiment, how many runs it comes to.
    """

    run: RunFolder
    status: str
    recipe: str
    place: str = ""
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
    facts: RecipeFacts = UNKNOWN
    written: Annotations = NOTHING
    owner: str = ""
    parent: str | None = None
    arm: str | None = None
    repeat: int = 1
    fold: int | None = None
    nested: bool = False
    experiment: Experiment | None = None
    ended: int = 0
    planned: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.status in GOING_ON

    @property
    def progress(self) -> float | None:
        """The share of the current phase's steps that are done."""
        if self.last_step is None:
            return None
        return (self.steps - self.first_step + 1) / (self.last_step - self.first_step + 1)

    def describe_progress(self) -> str:
        """Say how many runs of an experiment have ended."""
        return f"{self.ended} of {format_quantity(self.planned, 'run')} {'has' if self.planned == 1 else 'have'} ended"

    def list_filter_facts(self) -> Facts:
        """List what a filter can test (`ftapp.runs.run_filter`)."""
        return {
            **{"run": self.run.folder.name, "recipe": self.recipe, "profile": self.profile or "standard"},
            **{"status": self.status, "task": self.facts.task, "model": self.facts.model, "data": self.facts.data},
            **{"tag": self.written.tags, "note": self.written.note, "experiment": self.parent, "arm": self.arm},
            "owner": self.owner,
            **{"steps": self.steps, "seconds": self.seconds, "share": self.share},
            **{"repeat": self.repeat, "fold": self.fold, **self.metrics},
        }


_SortKey = tuple[str, str, str]


class Summaries:
    """The runs of a folder and its experiments, summed up. Runs that cannot have changed are not read again.

    Several threads may read at once.

    Args:
        folder: The folder of all runs; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._reading = Lock()
        self._known: dict[str, tuple[tuple[int, ...], Summary]] = {}

    def read(self) -> Iterator[Summary]:
        """Yield all runs and experiments, the newest first, each as soon as it is read."""
        names = list_folders(self._folder)
        for name in set(self._known) - set(names):
            self._known.pop(name, None)
        found: list[tuple[_SortKey, str | Experiment]] = [(make_folder_key(self._folder, name), name) for name in names]
        experiments = experiment_lookup.list_experiments(self._folder)
        found += [(experiment_lookup.make_experiment_key(each), each) for each in experiments]
        for _, each in sorted(found, key=lambda pair: pair[0], reverse=True):
            yield self._sum_up_run(each) if isinstance(each, str) else self.sum_up(each)

    def sum_up(self, experiment: Experiment) -> Summary:
        """Sum up one experiment of the folder."""
        members = [self._sum_up_run(member.run.folder.name) for member in experiment.list_members()]
        return summarize_experiment(experiment, members)

    def _sum_up_run(self, name: str) -> Summary:
        with self._reading:  # so that two threads do not read the same run
            signature, known = _compute_signature(f"{self._folder}/{name}"), self._known.get(name)
            if known is None or known[0] != signature or _has_changed_life(known[1]):
                known = self._known[name] = signature, summarize(RunFolder(self._folder / name))
            return known[1]


def _has_changed_life(summary: Summary) -> bool:
    """Return whether a run without a last event lives although it did not when it was summed up, or the reverse."""
    if summary.goes_on and summary.run.leases.describe_queue() != summary.place:
        return True
    unended = summary.goes_on or summary.status in ("crashed", "damaged")
    return unended and summary.run.alive() is not summary.goes_on


def _compute_signature(folder: str) -> tuple[int, ...]:
    """Compute numbers that change when a run's events or its folder do.

    The folder is text: paths would take as long as the rest.
    """
    found = []
    for name in ("events.jsonl", "recipe.toml", "environment.json", ""):
        try:
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116
            found += [status.st_mtime_ns, status.st_size, status.st_mode]
        except OSError:
            found.append(-1)
    return tuple(found)


def summarize(run: RunFolder) -> Summary:
    """Sum a run up from its environment and its newest events.

    Args:
        run: The run.

    Returns:
        The summary; missing and damaged files are told in it.
    """
    # Asked first: a run that ends in between has written its last event.
    living, place = run.alive(), run.leases.describe_queue()
    events, doubtful, unreadable = _read_newest_events(run)
    environment = run.environment()
    started = _find_last(events, RunStarted)
    ended, phase, step = _find_last(events, RunEnded), _find_last(events, PhaseStarted), _find_last(events, Stepped)
    if phase and step and step.step >= phase.first_step + phase.steps:
        phase = None  # it is in a later one, which stands in the middle of a very long log
    evaluation, activity = _find_last(events, Evaluated), events[-1] if events else None
    shown = evaluation or step
    damage = run.damage() or unreadable
    final_status = ended.status if ended else "crashed"
    named, created = parse_name(run.folder.name)
    created = environment.get("created") or (started.time if started else created)
    last_time = events[-1].time if events else None
    return Summary(
        run=run,
        place=place,
        status="waiting" if place else "running" if living and not ended else "damaged" if damage else final_status,
        recipe=environment.get("recipe") or (started.recipe if started else named),
        profile=environment.get("profile") or (started.profile if started else None),
        created=created,
        seconds=ended.seconds if ended else max(0.0, last_time - created) if last_time and created else None,
        steps=step.step if step else ended.steps if ended else 0,
        phase=phase.phase if phase else None,
        first_step=phase.first_step if phase else 1,
        last_step=phase.first_step + phase.steps - 1 if phase else None,
        activity=activity.activity if isinstance(activity, Progressed) else None,
        metrics={"loss": shown.loss, **shown.metrics} if shown else {},
        final=evaluation is not None and evaluation.final,
        share=phase.trainable / phase.parameters if phase else None,
        paused=living and History.of(event for event in events if isinstance(event, Controlled | RunEnded)).paused,
        error=damage or (_explain_end(ended) if ended else None),
        facts=read_recipe_facts(run.recipe_file),
        written=annotation.load(run.folder),
        owner=environment.get("owner", ""),
        parent=environment.get("experiment"),
        arm=environment.get("arm"),
        repeat=environment.get("repeat", 1),
        fold=environment.get("fold"),
        doubtful=result_warnings.is_doubtful(History.of(events)) if doubtful is None else doubtful,
    )


def summarize_experiment(experiment: Experiment, members: Sequence[Summary]) -> Summary:
    """Sum an experiment up.

    Args:
        experiment: The experiment.
        members: The summaries of its runs.

    Returns:
        The summary.
    """
    facts = experiment.facts
    created = facts.get("created")
    ends = [each.created + each.seconds for each in members if each.created and each.seconds is not None]
    return Summary(
        run=RunFolder(experiment.folder),
        status=experiment.status([each.status for each in members]),
        recipe=facts.get("recipe", experiment.folder.name),
        profile=facts.get("profile"),
        created=created,
        seconds=max(ends) - created if ends and created else None,
        steps=sum(each.steps for each in members),
        facts=read_recipe_facts(experiment.recipe_file),
        written=annotation.load(experiment.folder),
        owner=facts.get("owner", ""),
        experiment=experiment,
        ended=sum(not each.goes_on for each in members),
        planned=experiment.planned,
        error=experiment.damage() or experiment.refusal or None,
    )


def _explain_end(ended: RunEnded) -> str | None:
    return ended.error or "; ".join(": ".join(filter(None, parts)) for parts in ended.problems) or None


def _find_last(events: Sequence[AnyEvent], kind: type[_Event]) -> _Event | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _read_newest_events(run: RunFolder) -> tuple[list[AnyEvent], bool | None, str | None]:
    """Return the events that show how a run stands, without reading a long log.

    They are those of status.json and what the log holds behind it or, without such a file, all that the log holds. Of a
    very long log only both ends are read then. Evaluations at its beginning are left out, since they say nothing of how
    the run stands.

    Args:
        run: The run's folder.

    Returns:
        The events; whether its result has warnings, None where status.json does not say; and why there are no events,
        in words, where they cannot be read.
    """
    snapshot = status.load(run.status_file)
    try:
        with open_file(run.events_file) as file:
            size = os.fstat(file.fileno()).st_size
            if snapshot and snapshot.offset <= size:
                head, tail = _read_ends(file, snapshot.offset, size)
                return [*snapshot.events, *head, *tail], snapshot.doubtful, None
            if size <= _SHORT:
                events = read(run.events_file)
            else:
                head, tail = _read_ends(file, 0, size)
                events = [*(event for event in head if not isinstance(event, Evaluated)), *tail]
            unreadable = "its events.jsonl holds no event that can be read" if size and not events else None
            return events, None, unreadable
    except FileNotFoundError:
        return [], None, None
    except OSError as error:
        return [], None, f"its events.jsonl cannot be read: {explain_error(error)}"


def _read_ends(file: BinaryIO, begin: int, end: int) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Return the events at the two ends of a part of a log; those of a short part are all in the first list."""
    if end - begin <= 2 * _END:
        return _read_events(file, begin, end), []
    return _read_events(file, begin, begin + _END), _read_events(file, end - _END, end)


def _read_events(file: BinaryIO, begin: int, end: int) -> list[AnyEvent]:
    """Return the events of the whole lines between two bytes of a log."""
    first = max(0, begin - 1)  # with the byte before, which tells whether a line begins here
    file.seek(first)
    data = file.read(end - first)
    if begin:
        data = data[data.find(b"\n") + 1 :]
    found = map(decode, data.split(b"\n")[:-1])
    return [event for event in found if event is not None]
