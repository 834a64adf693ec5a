"""Runs: the list of all runs and experiments, to open, compare, try and delete them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from ftapp.experiments import trash
from ftapp.experiments.listing import Summary
from ftapp.runs.run_filter import FilterError, parse_filter
from ftapp.tui import run_columns
from ftapp.tui.actions.run_actions import RUN_ACTIONS
from ftapp.tui.actions.target import Target
from ftapp.tui.page import looks
from ftapp.tui.run_page import RunPage
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets.run_table import RunTable
from ftapp.tui.widgets.search_line import SearchLine

_REREAD_SECONDS = 1.0
_PIECE = 100  # runs read before those so far are shown


class RunsScreen(RunPage):
    """Lists the runs and experiments."""

    HELP = """
# Runs

The list has all runs in the folder of runs, and updates running runs automatically. A result in full colour is that of
the whole test split. A result in grey is that of the latest evaluation or step.

An experiment has a line of its own above its runs. Enter compares its arms, and `x` ends it early.

`g` continues a run that has ended early from its newest checkpoint. For a run that is done, it asks for the number of
further steps.

`a` lists what can be done with the run. `p` writes the model's answers to the inputs of a file or a folder, and `w`
exports the model. Both go on while you look at other screens. `Ctrl-P` shows them again.

`n` changes the tags and the note of a run, or the tags of all marked runs.

The space bar marks runs, and `c` compares the marked ones. `s` and `S` sort, and so does a click on the head of a
column.

`/` filters by words, and by conditions such as `tag=night`, `model~bert|gpt2` (a regular expression), `accuracy>0.9`
or `-status=failed`. A run has `recipe`, `profile`, `status`, `task`, `model`, `data`, `tag`, `note`, `arm`,
`owner`, `steps`, `seconds`, `share` (R), `loss` and other metrics.

`d` moves runs into the trash, and `u` restores the last ones, as `ftapp runs --restore` does. They are removed for good
after a week, or when you empty the trash with `Ctrl-P`.
"""
    DEFAULT_CSS = """
    RunsScreen #list { height: 1fr; }
    RunsScreen RunTable { margin-top: 1; }
    RunsScreen.-short RunTable { margin-top: 0; }
    RunsScreen #note { height: auto; min-height: 1; max-height: 3; padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", tooltip="Mark to compare or delete"),
        Binding("c", "compare", "Compare", tooltip="Compare the marked runs"),
        RunPage.MENU_KEY,
        RUN_ACTIONS["try_model"].bind(),
        RUN_ACTIONS["resume"].bind(),
        RUN_ACTIONS["stop"].bind(),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse the order", show=False),
        *(RUN_ACTIONS[name].bind() for name in ("report", "delete", "folder", "predict", "export", "annotate")),
        Binding("u,ctrl+z", "restore", "Undo", tooltip="Restore the runs deleted last"),
        SearchLine.KEY,
        Binding("escape", "unmark", "Remove all marks", show=False),
    ]
    AUTO_FOCUS = "RunTable"

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Summary] | None = None
        self._filter, self._wrong = parse_filter(""), ""  # what is wrong with a newer filter
        self._offered: object = None  # the status of the run under the cursor, which decides the keys

    def body(self) -> Iterable[Widget]:
        pane = Vertical(id="list", classes="pane")
        pane.border_title = "Runs"
        with pane:
            yield SearchLine("/ to search")
            yield RunTable()
        yield Static(id="note")

    def on_mount(self) -> None:
        self.app.runs_changed.subscribe(self, lambda _: self._update())
        self._follow()

    @property
    def table(self) -> RunTable:
        return self.query_one(RunTable)

    @property
    def marked(self) -> list[Summary]:
        """The marked runs and experiments, the oldest first."""
        found = [summary for summary in self._runs or () if summary.run.folder.name in self.table.marked]
        return sorted(found, key=lambda summary: summary.created or 0)

    @work
    async def _follow(self) -> None:
        """Show the runs and their changes, as long as the screen is open."""
        if self.app.person.role == "teacher":
            await asyncio.to_thread(trash.empty, self.app.runs_dir, days=trash.DAYS)
        while True:
            taken = await self._reread() if self.is_current or self._runs is None else 0.0
            await asyncio.sleep(rest(taken, _REREAD_SECONDS))

    @work(exclusive=True, group="update")
    async def _update(self) -> None:
        self.refresh_bindings()
        await self._reread()

    async def _reread(self) -> float:
        """Read and show the runs, and return the seconds of a core that reading took."""
        reading = self.app.summaries.read()

        def read() -> tuple[list[Summary], float]:
            begun = time.thread_time()
            return list(islice(reading, _PIECE)), time.thread_time() - begun

        found: list[Summary] = []
        taken = 0.0
        while True:
            piece, seconds = await asyncio.to_thread(read)
            taken += seconds
            if not piece:
                break
            found += piece
            if len(found) >= 2 * len(self._runs or ()):  # so that thousands are not sorted at each piece
                self._take(found)
        self._take(found)
        return taken

    def _take(self, found: Sequence[Summary]) -> None:
        if self._runs != found:
            self._runs = list(found)
            names = {summary.run.folder.name for summary in found}
            self.table.marked = self.table.marked & names
            if self._wrong:  # a metric may be known now
                self._search()
            else:
                self._fill()

    def _fill(self) -> None:
        """Show the runs that match, in their order."""
        everything = self._runs or []
        try:
            shown = [summary for summary in everything if self._filter.keeps(summary.list_filter_facts())]
        except FilterError as error:  # a pattern takes too long
            self._filter, self._wrong, shown = parse_filter(""), str(error), everything
        self.table.show(run_columns.sort(shown, *self.table.sorted_by))
        none = "Nothing matches." if everything else "There are no runs yet. 1 shows the recipes, and r runs a recipe."
        self.table.none = none if self._runs is not None else ""
        self._count()

    def _count(self) -> None:
        shown, everything, marked = len(self.table.rows), len(self._runs or ()), len(self.table.marked)
        count = f"{shown:,}" if shown == everything else f"{shown:,} of {everything:,}"
        self.query_one("#list").border_subtitle = Content(f"{count}{f', {marked} marked' if marked else ''}")

    @on(Input.Changed, "#search")
    def _search(self) -> None:
        """Filter by what was typed. While that cannot be understood, say why, and keep the filter before."""
        try:
            metrics = {name for summary in self._runs or () for name in summary.metrics}
            self._filter, self._wrong = parse_filter(self.query_one(SearchLine).value, metrics), ""
        except FilterError as error:
            self._wrong = str(error)
        self._fill()
        if self._filter.words:
            self.table.cursor = run_columns.find_best(self.table.rows, self._filter.words)

    @on(SearchLine.Left)
    def _to_table(self) -> None:
        self.table.focus()

    @on(RunTable.Highlighted)
    def _tell(self) -> None:
        """Show details of the run under the cursor below the list."""
        summary = self.table.current
        text = Content("")
        if summary is not None:
            lines = []
            if summary.experiment and summary.status == "running":
                lines.append(Content(summary.describe_progress()))
            elif summary.place:
                lines.append(Content(f"the run {summary.place}"))
            elif summary.error:
                lines.append(Content.styled(summary.error, "$error"))
            elif summary.status == "crashed":
                why = "the run's process ended without an error message; open the run for its log"
                lines.append(Content.styled(why, "$error"))
            elif summary.status == "running" and (summary.activity or summary.phase):
                lines.append(Content(summary.activity or f"phase {summary.phase}"))
            if written := summary.written:
                tags = "".join(f"#{tag} " for tag in written.tags)
                lines.append(Content.assemble((tags, "$accent"), " ".join(written.note.split())))
            text = Content("\n").join([*lines, Content.styled(str(summary.run.folder), "$foreground-muted")])
        if self._wrong:
            text = Content.styled(self._wrong, "$warning")
        self.query_one("#note", Static).update(text)
        if (offered := summary and (summary.status, summary.experiment is None, summary.owner)) != self._offered:
            self._offered = offered
            self.refresh_bindings()

    @property
    def target(self) -> Target | None:
        current = self.table.current
        return Target.of(current) if current else None

    @property
    def targets(self) -> Sequence[Target]:
        """The marked runs, or the run under the cursor where none is marked."""
        return [Target.of(summary) for summary in self.marked] or super().targets

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "search":
            return not isinstance(self.focused, SearchLine)
        if action == "restore" and not self.app.deleted:
            return False
        return super().check_action(action, parameters)

    @on(RunTable.HeaderClicked)
    def _sort_by(self, event: RunTable.HeaderClicked) -> None:
        column, descending = self.table.sorted_by
        first = run_columns.get_column(event.column).descending
        self._sort(event.column, not descending if event.column == column else first)

    @looks
    def action_sort(self) -> None:
        names = list(self.table.columns)
        column = self.table.sorted_by[0]
        following = names[(names.index(column) + 1) % len(names)] if column in names else names[0]
        self._sort(following, run_columns.get_column(following).descending)

    @looks
    def action_reverse(self) -> None:
        column, descending = self.table.sorted_by
        self._sort(column, not descending)

    def _sort(self, column: str, descending: bool) -> None:
        self.table.sorted_by = column, descending
        self._fill()

    @looks
    def action_search(self) -> None:
        self.query_one(SearchLine).take()

    @on(RunTable.Opened)
    def _open(self) -> None:
        self.action_on_run("open")

    @looks
    def action_mark(self) -> None:
        if current := self.table.current:
            self.table.marked = self.table.marked ^ {current.run.folder.name}
            self.table.action_move(1)
            self._count()

    @looks
    def action_unmark(self) -> None:
        self.table.marked = frozenset()
        self._count()

    @looks
    def action_compare(self) -> None:
        marked = self.marked
        if len(marked) == 1 and marked[0].experiment:
            self.app.open_experiment(marked[0].experiment)
        elif len(marked) < 2:
            have = "No run is marked" if not marked else "One run is marked"
            self.notify(f"{have}. Comparing needs two runs or more. The space bar marks the run under the cursor.")
        else:
            names = {summary.run.folder.name for summary in marked if summary.experiment}
            below = [summary for summary in self._runs or () if summary.parent in names]
            chosen = {summary.run: summary.created or 0 for summary in (*marked, *below) if not summary.experiment}
            self.app.compare(sorted(chosen, key=chosen.__getitem__))

    @work
    async def action_restore(self) -> None:
        """Restore the runs that were deleted last."""
        from ftapp.tui.actions.deletion import restore

        await restore(self.app)
