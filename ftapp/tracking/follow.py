"""Follows a run from its first event to its end, and feeds its trackers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ftapp import recipe as recipes
from ftapp.common.downloads import Progress
from ftapp.runs import following
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tracking.feed import Feed, Place
from ftapp.tracking.track_file import Tracked, load_tracked, store_tracked
from ftapp.tracking.tracker import Numbers, Plain, Sample, TrackedRun, flatten, read_records

_SECONDS = 2.0  # between two deliveries
_MOST = 2000  # records of one delivery
_FACTS = ("profile", "repeat", "fold", "platform", "processor", "cores", "python", "packages")


def track(
    run: RunFolder,
    targets: Mapping[str, str],
    *,
    offline: bool,
    tell: Progress | None = None,
    tell_end: Callable[[History], None] | None = None,
) -> tuple[History, dict[str, Tracked]]:
    """Send a run to trackers, what it has recorded and what it will, until its process ends.

    Args:
        run: The run.
        targets: The project, the experiment or the kind of file by the name of the tracker.
        offline: Whether no network call is made.
        tell: Called with the activity in words, the steps that are sent, and None.
        tell_end: Called with what a run has recorded once it has ended, before trackers get the rest.

    Returns:
        What the run has recorded, and how far each tracker has got.

    Raises:
        RecipeError: The run's recipe cannot be read.
        OSError: The run's folder cannot be written.
    """
    described = _describe(run, offline=offline)
    tracked = load_tracked(run.folder)
    for name, target in targets.items():
        if name not in tracked or tracked[name].target != target:
            tracked[name] = Tracked(target=target)
    feeds = [Feed(name, described, tracked[name]) for name in targets]
    records: list[tuple[Place, Numbers | Sample]] = []
    counts: Counter[tuple[str, int]] = Counter()
    history, last = History(), time.monotonic()
    for event, current in following.follow(run, run.alive):
        if current is not history:  # the log begins anew
            history = current
            counts.clear()
        for record in read_records(event) if event is not None else ():
            key = record.group, record.step
            records.append(((record.step, counts[key]), record))
            counts[key] += 1
        if records and (len(records) >= _MOST or time.monotonic() - last >= _SECONDS):
            _deliver(feeds, records, run, tracked)
            if tell:
                tell("sending steps", len(history.steps), None)
            last = time.monotonic()
    if history.started is not None:
        if tell_end:
            tell_end(history)
        _deliver(feeds, records, run, tracked)
        for feed in sorted(feeds, key=lambda each: each.name != "history"):  # the file first, since others may hang
            feed.finish(history, run.status(history))
        store_tracked(run.folder, tracked)
    return history, {name: tracked[name] for name in targets}


def _deliver(
    feeds: Sequence[Feed], records: list[tuple[Place, Numbers | Sample]], run: RunFolder, tracked: dict[str, Tracked]
) -> None:
    for feed in feeds:
        feed.send(records)
    records.clear()
    with suppress(OSError):  # the disk is full; the run waits for room, and the next delivery stores more
        store_tracked(run.folder, tracked)


def _describe(run: RunFolder, *, offline: bool) -> TrackedRun:
    facts = run.environment()
    config: dict[str, Plain] = flatten(recipes.load(run.recipe_file).to_tables())
    config |= {f"run.{name}": value for name, value in flatten({k: facts[k] for k in _FACTS if facts.get(k)}).items()}
    return TrackedRun(
        folder=run.folder,
        group=facts.get("experiment"),
        job=facts.get("arm"),
        config=config,
        created=facts.get("created") or time.time(),
        offline=offline,
    )
