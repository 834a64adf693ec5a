"""The queue: what waits for its turn, also while the interface is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_files import describe_error
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.queue import Queue
from ftapp.experiments.queue_entries import Entry, describe_turn
from ftapp.tui.page import Page, looks
from ftapp.tui.widgets.headline import STATUS_COLORS

_REREAD_SECONDS = 1.0
_STATUS_WIDTH = len("interrupted")
_WIDEST_LABEL = 40  # cells


class QueueScreen(Page):
    """Lists the queue, to change the order of what waits."""

    PLACE = "queue"
    HELP = """
# The queue

The queue runs recipes one after another; in a class, some go on at once. Its process continues when the interface is
closed and when the connection is lost. `n` in *Recipes* and in *Configure* adds a recipe, as it is at that moment.

`J` and `K` move a waiting entry down and up, and `d` drops it. `p` pauses the queue: the current run continues, and no
other starts. Enter opens a run that has started, where `x` ends it.

After a restart of the machine, `p` continues the queue. A run that was cut off then continues from its newest
checkpoint, and an experiment or a sweep continues with its runs.

In a class, people take turns: the first run of each comes before the second of anyone. You can drop your own runs. The
teacher can drop and move all.

`ftapp queue` does the same in a terminal.
"""
    DEFAULT_CSS = """
    QueueScreen #list { height: 1fr; }
    QueueScreen OptionList { height: 1fr; margin-top: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    QueueScreen.-short OptionList { margin-top: 0; }
    QueueScreen #note { height: auto; min-height: 1; max-height: 3; padding: 0 2; color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("K,shift+up", "move(-1)", "Up", tooltip="Start it earlier"),
        Binding("J,shift+down", "move(1)", "Down", tooltip="Start it later"),
        Binding("d,delete", "drop", "Drop", tooltip="Remove it from the queue"),
        Binding("p", "pause", "Pause", tooltip="Pause the queue, or continue it"),
    ]
    AUTO_FOCUS = "OptionList"

    def __init__(self) -> None:
        super().__init__()
        self._queue: Queue
        self._entries: list[Entry] | None = None
        self._statuses: list[str] = []
        self._is_paused = self._is_alive = False

    def body(self) -> Iterable[Widget]:
        pane = Vertical(id="list", classes="pane")
        pane.border_title = "Queue"
        with pane:
            yield OptionList()
        yield Static(id="note")

    def on_mount(self) -> None:
        self._queue = Queue.of(self.app.runs_dir)
        self.set_interval(_REREAD_SECONDS, self._reread)
        self._reread()

    @property
    def current(self) -> Entry | None:
        """The entry under the cursor."""
        place = self.query_one(OptionList).highlighted
        return self._entries[place] if self._entries and place is not None and place < len(self._entries) else None

    @work(exclusive=True, group="reread")
    async def _reread(self, kept: int | None = None) -> None:
        """Read and show the queue.

        Args:
            kept: The id of the entry under the cursor; None for that of now.
        """

        def read() -> tuple[list[Entry], list[str], bool, bool]:
            entries = self._queue.list_entries()
            statuses = [self._queue.describe_status(each) for each in entries]
            return entries, statuses, self._queue.is_paused(), self._queue.alive()

        try:
            entries, statuses, paused, alive = await asyncio.to_thread(read)
        except RunError as error:
            self.query_one("#note", Static).update(Content.styled(str(error), "$error"))
            return
        if (entries, statuses, paused, alive) != (self._entries, self._statuses, self._is_paused, self._is_alive):
            chosen = kept if kept is not None else self.current.id if self.current else None
            self._entries, self._statuses, self._is_paused, self._is_alive = entries, statuses, paused, alive
            self._fill(chosen)

    def _fill(self, chosen: int | None) -> None:
        entries = self._entries or []
        options = self.query_one(OptionList)
        options.clear_options()
        width = min(_WIDEST_LABEL, max((cell_len(each.label) for each in entries), default=0))
        statuses = [
            "cut off" if status == "running" and not self._is_alive else status
            for each, status in zip(entries, self._statuses, strict=True)
        ]
        room = max(_STATUS_WIDTH, *map(len, statuses)) if statuses else 0
        options.add_options(
            Option(_describe(each, entries, status.ljust(room), width))
            for each, status in zip(entries, statuses, strict=True)
        )
        places = {each.id: place for place, each in enumerate(entries)}
        waiting = [place for place, each in enumerate(entries) if each.waits]
        usual = waiting[0] if waiting else len(entries) - 1
        options.highlighted = (usual if chosen is None else places.get(chosen, usual)) if entries else None
        count = f"{len(waiting):,} waiting" if waiting else ""
        self.query_one("#list").border_subtitle = Content(f"{count}, paused" if self._is_paused and count else count)
        self.query_one("#note", Static).update(self._explain(entries))
        self.refresh_bindings()

    def _explain(self, entries: Sequence[Entry]) -> str:
        if not entries:
            return "The queue is empty. 1 shows the recipes, and n adds a recipe to the queue."
        if self._is_paused:
            can_go_on = self.app.person.find_obstacle("manage") is None
            return f"The queue is paused. {'p continues it.' if can_go_on else 'The teacher can continue it.'}"
        if not self._is_alive and any(not each.status for each in entries):
            return "The process of the queue has ended, as after a restart of the machine. p continues the queue."
        return ""

    @on(OptionList.OptionHighlighted)
    def _offer_keys(self) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        entry = self.current if self.is_mounted else None
        person = self.app.person
        if action == "drop":
            return entry is not None and entry.waits and person.find_obstacle("change", entry.owner) is None
        if action == "move":
            return entry is not None and entry.waits and person.find_obstacle("manage") is None
        if action == "open":
            return entry is not None and not entry.waits
        if action == "pause":
            return person.find_obstacle("manage") is None
        return super().check_action(action, parameters)

    @on(OptionList.OptionSelected)
    @looks
    def action_open(self) -> None:
        entry = self.current
        if entry is None or entry.waits:
            return
        job = self._queue.find_job(entry)
        if not job.folder.is_dir():
            self.notify(f"{entry.job} was deleted, or its data were refused.")
        elif isinstance(job, Experiment):
            self.app.open_experiment(job)
        else:
            self.app.open_run(job)

    def action_move(self, by: int) -> None:
        entry = self.current
        waiting = [each.id for each in self._entries or () if each.waits]
        if entry is not None and entry.id in waiting:
            place = waiting.index(entry.id) + 1 + by
            if place >= 1:
                self._change(lambda: self._queue.move(entry.id, place), entry.id)

    def action_drop(self) -> None:
        if entry := self.current:
            self._change(lambda: self._queue.drop(entry.id))

    def action_pause(self) -> None:
        goes_on = self._is_alive and not self._is_paused
        self._change(self._queue.pause if goes_on else self._queue.start)

    @work
    async def _change(self, act: Callable[[], object], kept: int | None = None) -> None:
        """Change the queue, and show it."""
        try:
            await asyncio.to_thread(act)
        except RecipeError:
            pass  # it has started meanwhile
        except (RunError, OSError) as error:
            self.notify(describe_error(error), severity="error")
        self._reread(kept)


def _describe(entry: Entry, entries: Sequence[Entry], status: str, width: int) -> Content:
    """Describe an entry in a line, with its padded status, and the name of its recipe in a column of so many cells."""
    known = STATUS_COLORS.get(status.split()[0]) if not entry.waits else None
    color = f"${known}" if known else "$foreground-muted"
    label = entry.label + " " * (width - cell_len(entry.label))
    parts: list[tuple[str, str]] = [(entry.job or _describe_turn(entry, entries), "$foreground-muted")]
    if room := max(cell_len(each.owner) for each in entries):
        parts.insert(0, (entry.owner + " " * (room - cell_len(entry.owner) + 2), ""))
    return Content.assemble((status, color), "  ", label, "  ", *parts)


def _describe_turn(entry: Entry, entries: Sequence[Entry]) -> str:
    """Describe when the turn of an entry of a class comes. Where one person waits alone, the order tells it."""
    return describe_turn(entries, entry) if entry.waits and entry.owner else ""
