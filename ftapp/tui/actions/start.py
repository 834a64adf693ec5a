"""Starting a draft, now or when its turn in the queue comes; and what happens where it is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from textual.screen import Screen

from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Entry, describe_turn
from ftapp.launchers.choose import choose_target
from ftapp.launchers.target import LOCAL
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.runs.run_folder import RunFolder, remove_refused
from ftapp.search.check_layers import check_layers, names_layers

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp
    from ftapp.tui.editor.draft import Draft

_Result = TypeVar("_Result")
_SOON = 0.5  # seconds
_PATIENCE = 3.0  # seconds in which a run whose turn it is has started


async def start(app: FtApp, draft: Draft) -> RunFolder | Experiment | None:
    """Check a draft and start it, detached from the interface. Called by a worker of the app.

    In a class it takes its turn in the queue.

    Args:
        app: Shows why the draft cannot run.
        draft: The draft of a run or an experiment.

    Returns:
        What was started; None where the recipe or its data have an error, and where it waits for its turn.
    """
    if app.person.name:
        return await _start_in_turn(app, draft)
    return await _attempt(app, draft, lambda: draft.start(app.runs_dir, offline=app.offline))


async def _start_in_turn(app: FtApp, draft: Draft) -> RunFolder | Experiment | None:
    """Add a draft to the queue, and wait a moment for its turn."""
    queue, added = Queue.of(app.runs_dir), await add_to_queue(app, draft)
    if added is None:
        return None
    begun = time.monotonic()
    while True:
        entries = await asyncio.to_thread(queue.list_entries)
        entry = next((each for each in entries if each.id == added.id), added)
        if not entry.waits:
            return queue.find_job(entry) if entry.goes_on else None
        if time.monotonic() - begun > _PATIENCE:
            turn = describe_turn(entries, entry)
            app.notify(f"It waits: {turn}. You may leave: it runs when its turn comes.", title=draft.label, timeout=10)
            return None
        await asyncio.sleep(_SOON)


async def add_to_queue(app: FtApp, draft: Draft) -> Entry | None:
    """Check a draft and add it to the queue. Called by a worker of the app.

    Args:
        app: Shows why the draft cannot run.
        draft: The draft of a run or an experiment.

    Returns:
        Its entry; None where the recipe or its data have an error.
    """
    queue = Queue.of(app.runs_dir)

    def add() -> Entry:
        if app.person.role == "student" and (jobs := draft.options.jobs) > 1:  # its entry has one turn
            message = f"{jobs} is too many; in a class, the runs of an experiment go one after another: 1"
            raise RecipeError([Problem("", "runs at once", message)])
        on = choose_target(draft.on).text
        entry = queue.add(draft.label, partial(draft.prepare, on=on, offline=app.offline), on)
        if app.person.role != "student" and not queue.is_paused():  # for students, the server starts it
            queue.start()
        return entry

    return await _attempt(app, draft, add)


async def _attempt(app: FtApp, draft: Draft, act: Callable[[], _Result]) -> _Result | None:
    """Check a draft, and then do something with it; where that fails, say why."""
    try:
        checked = asyncio.create_task(asyncio.to_thread(draft.check))
        if not (await asyncio.wait({checked}, timeout=_SOON))[0]:
            app.notify("It starts when its data are read.", title=f"Reading the data of {draft.name}")
        await checked
        if draft.options.sweep:
            await _check_layers(app, draft)
        return await asyncio.to_thread(act)  # a cluster may take long to answer
    except (RecipeError, RunError) as error:
        app.notify(str(error), title="This recipe cannot run", severity="error", timeout=12)
    except OSError as error:
        app.notify(f"{app.runs_dir} cannot be written: {error.strerror}", severity="error")
    return None


async def _check_layers(app: FtApp, draft: Draft) -> None:
    """Check the values of a sweep by the layers of their models, in a process that needs Keras.

    Raises:
        RecipeError: Values do not fit their models.
        RunError: A model cannot be had.
    """
    search = await asyncio.to_thread(draft.load_search)
    if not names_layers(search):
        return
    app.notify("It starts when the layers that its values name are known.", title=f"Checking {draft.name}")
    async with InspectorClient(offline=app.offline) as inspector:
        if note := await check_layers(search, inspector, is_local=choose_target(draft.on) == LOCAL):
            app.notify(note)


def _is_undecided(run: RunFolder) -> bool:
    """Return whether a run has not read its data yet. It may ask Slurm."""
    return run.history().started is None and run.alive()


async def await_refusal(app: FtApp, started: RunFolder | Experiment) -> None:
    """Tell that the data of a run or an experiment were refused, whatever the screen, and remove what is left.

    Called by a worker of the app.
    """
    if isinstance(started, RunFolder):
        while await asyncio.to_thread(_is_undecided, started):
            await asyncio.sleep(_SOON)
        history = await asyncio.to_thread(started.history)
        reason = history.ended.error if history.ended and history.started is None else None
        remove: Callable[[], bool] = partial(remove_refused, started, history)
    else:
        while started.alive():
            await asyncio.sleep(_SOON)
        reason, remove = started.refusal, started.remove_refused
    if reason:
        app.notify(reason, title="This recipe cannot run", severity="error", timeout=12)
    if not remove():
        return
    while any(_shows(screen, started) for screen in app.screen_stack):
        if _shows(app.screen, started):
            app.pop_screen()
        else:
            await asyncio.sleep(_SOON)


def _shows(screen: Screen[Any], started: RunFolder | Experiment) -> bool:
    """Whether a screen shows this run or experiment."""
    return started in (getattr(screen, "run", None), getattr(screen, "experiment", None))
