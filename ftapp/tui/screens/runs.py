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

from ftapp.common import formatting
from ftapp.common.errors import RunError
from ftapp.experiments import trash
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.listing import Summary
from ftapp.experiments.trash import Deleted
from ftapp.runs.resuming import RESUMABLE
from ftapp.runs.run_folder import RunFolder
from ftapp.tui import run_columns
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.page import Page
from ftapp.tui.terminal.pace import rest
from ftapp.tui.widgets.run_table import RunTable
from ftapp.tui.widgets.search_line import SearchLine

_REREAD_SECONDS = 1.0
_PIECE = 100  # runs read before those so far are shown
_UNDONE = f"u restores deleted runs. After {trash.DAYS} days they are removed for good."


class RunsScreen(Page):
    """Lists the runs and experiments."""

    PLACE = "runs"
    HELP = """
# Runs

The list has all runs in the folder of runs, and updates running runs automatically. A result in full colour is that of
the whole test split. A result in grey is that of the latest evaluation or step.

An experiment has a line of its own above its runs. Enter compares its arms, and `x` ends it early.

`g` continues a run that has ended early from its newest checkpoint. For a run that is done, it asks for the number of
further steps.

The space bar marks runs, and `c` compares the marked ones. Words after `/` filter by recipe, profile, status and
folder. `s` and `S` sort, and so does a click on the head of a column.

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
        Binding("t", "try_model", "Try", tooltip="Try the model"),
        Binding("g", "resume", "Resume", tooltip="Continue an ended run from its newest checkpoint"),
        Binding("x", "stop", "Stop", tooltip="End the experiment early"),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse the order", show=False),
        Binding("e", "report", "Report", tooltip="Open the report"),
        Binding("d", "delete", "Delete", tooltip="Delete the run, or the marked runs"),
        Binding("o", "folder", "Folder", tooltip="Open the folder"),
        Binding("u,ctrl+z", "restore", "Undo", tooltip="Restore the runs deleted last"),
        SearchLine.KEY,
        Binding("escape", "unmark", "Remove all marks", show=False),
    ]
    AUTO_FOCUS = "RunTable"

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Summary] | None = None
        self._offered = (False, False)  # whether the run under the cursor can be stopped, and resumed

    def body(self) -> Iterable[Widget]:
        pane = Vertical(id="list", classes="pane")
        pane.border_title = "Runs"
        with pane:
            yield SearchLine("/ to search")
            yield RunTable()
        yield Static(id="note")

    def on_mount(self) -> None:
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
        await asyncio.to_thread(trash.empty, self.app.runs_dir, days=trash.DAYS)
        while True:
            taken = await self._reread() if self.is_current or self._runs is None else 0.0
            await asyncio.sleep(rest(taken, _REREAD_SECONDS))

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
            if len(found) > len(self._runs or ()):
                self._take(found)
        self._take(found)
        return taken

    def _take(self, found: Sequence[Summary]) -> None:
        if self._runs != found:
            self._runs = list(found)
            names = {summary.run.folder.name for summary in found}
            self.table.marked = self.table.marked & names
            self._fill()

    def _fill(self) -> None:
        """Show the runs that match, in their order."""
        everything = self._runs or []
        shown = run_columns.filter_runs(everything, self.query_one(SearchLine).value)
        self.table.show(run_columns.sort(shown, *self.table.sorted_by))
        none = "Nothing matches." if everything else "There are no runs yet. 1 shows the recipes, and r runs a recipe."
        self.table.none = none if self._runs is not None else ""
        self._count()

    def _count(self) -> None:
        shown, everything, marked = len(self.table.rows), len(self._runs or ()), len(self.table.marked)
        count = f"{shown:,}" if shown == everything else f"{shown:,} of {everything:,}"
        self.query_one("#list").border_subtitle = Content(f"{count}{f', {marked} marked' if marked else ''}")

    @on(Input.Changed, "#search")
    def _filter(self) -> None:
        self._fill()
        if query := self.query_one(SearchLine).value.strip():
            self.table.cursor = run_columns.find_best(self.table.rows, query)

    @on(SearchLine.Left)
    def _to_table(self) -> None:
        self.table.focus()

    @on(RunTable.Highlighted)
    def _tell(self) -> None:
        """Show details of the run under the cursor below the list."""
        summary = self.table.current
        text = Content("")
        if summary is not None:
            text = Content.styled(str(summary.run.folder), "$foreground-muted")
            if summary.experiment and summary.status == "running":
                text = Content.assemble(f"{summary.ended} of {summary.planned} runs have ended", "\n", text)
            elif summary.error:
                text = Content.assemble((summary.error, "$error"), "\n", text)
            elif summary.status == "crashed":
                text = Content.assemble(
                    ("the run's process ended without an error message; open the run for its log", "$error"), "\n", text
                )
            elif summary.status == "running" and (summary.activity or summary.phase):
                text = Content.assemble(summary.activity or f"phase {summary.phase}", "\n", text)
        self.query_one("#note", Static).update(text)
        if (offered := (bool(self._live_experiment), bool(self._resumable_run))) != self._offered:
            self._offered = offered
            self.refresh_bindings()

    @property
    def _live_experiment(self) -> Experiment | None:
        """The experiment under the cursor, if it is running."""
        current = self.table.current
        return current.experiment if current and current.status == "running" else None

    @property
    def _resumable_run(self) -> RunFolder | None:
        """The run under the cursor, if it can be resumed."""
        current = self.table.current
        return current.run if current and not current.experiment and current.status in RESUMABLE else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "search":
            return not isinstance(self.focused, SearchLine)
        if action == "restore":
            return bool(self.app.deleted)
        if action == "resume":
            return self.is_mounted and bool(self._resumable_run)
        return action != "stop" or (self.is_mounted and bool(self._live_experiment))

    @on(RunTable.HeaderClicked)
    def _sort_by(self, event: RunTable.HeaderClicked) -> None:
        column, descending = self.table.sorted_by
        first = run_columns.get_column(event.column).descending
        self._sort(event.column, not descending if event.column == column else first)

    def action_sort(self) -> None:
        names = list(self.table.columns)
        column = self.table.sorted_by[0]
        following = names[(names.index(column) + 1) % len(names)] if column in names else names[0]
        self._sort(following, run_columns.get_column(following).descending)

    def action_reverse(self) -> None:
        column, descending = self.table.sorted_by
        self._sort(column, not descending)

    def _sort(self, column: str, descending: bool) -> None:
        self.table.sorted_by = column, descending
        self._fill()

    def action_search(self) -> None:
        self.query_one(SearchLine).take()

    @on(RunTable.Opened)
    def _open(self) -> None:
        current = self.table.current
        if current and current.experiment:
            self.app.open_experiment(current.experiment)
        elif current:
            self.app.open_run(current.run)

    def action_mark(self) -> None:
        if current := self.table.current:
            self.table.marked = self.table.marked ^ {current.run.folder.name}
            self.table.action_move(1)
            self._count()

    def action_unmark(self) -> None:
        self.table.marked = frozenset()
        self._count()

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

    def action_try_model(self) -> None:
        current = self.table.current
        if current is None:
            return
        if current.experiment:
            self.notify("An experiment has a model for each of its runs. Choose a run below it.")
        elif current.run.has_model():
            self.app.try_model(current.run)
        elif current.status == "running":
            self.notify(f"{current.recipe} is running. Its model can be tried after its end.")
        else:
            self.notify(f"{current.recipe} has no saved model, since the run is {current.status}.", severity="warning")

    def action_folder(self) -> None:
        if current := self.table.current:
            self.app.open_path(current.run.folder)

    def action_report(self) -> None:
        current = self.table.current
        if current is None:
            return
        report = current.run.folder / "report.html"
        if report.is_file():
            self.app.open_path(report)
        else:
            self.notify(
                f"{current.recipe} has no report yet. Make it with: ftapp report {current.run.folder.name}",
                severity="warning",
            )

    def action_delete(self) -> None:
        """Ask, and delete the marked runs, or the run under the cursor where none is marked."""
        current = self.table.current
        chosen = self.marked or ([current] if current else [])
        live = [summary for summary in chosen if summary.status == "running"]
        if live:
            what = "An experiment" if live[0].experiment else "A run"
            self.notify(
                f"{live[0].recipe} is running. {what} that is running cannot be deleted. Open it and stop it first.",
                severity="warning",
            )
        elif any(summary.experiment for summary in chosen):
            self._ask_for_experiments(chosen)
        elif chosen:
            names = "\n".join(summary.run.folder.name for summary in chosen[:8])
            more = f"\nand {len(chosen) - 8} more" if len(chosen) > 8 else ""
            title = "Delete this run?" if len(chosen) == 1 else f"Delete these {len(chosen)} runs?"
            dialog = Dialog(title, f"{names}{more}\n\n{_UNDONE}", ["Delete", "Keep"])

            def confirm(answer: str | None) -> None:
                if answer == "Delete":
                    self._delete(chosen)

            self.app.push_screen(dialog, confirm)

    def _ask_for_experiments(self, chosen: Sequence[Summary]) -> None:
        """Ask which runs to delete with experiments."""
        found = [summary for summary in chosen if summary.experiment]
        names = {summary.run.folder.name for summary in found}
        count = sum(summary.parent in names for summary in self._runs or ())
        also = (
            f" {formatting.format_quantity(len(chosen) - len(found), 'other run')} also."
            if len(chosen) > len(found)
            else ""
        )
        text = (
            f"The comparison and the report of {', '.join(summary.recipe for summary in found[:3])} are deleted. The "
            f"{formatting.format_quantity(count, 'run')} can be deleted too, or stay as separate runs."
            f"{also}"
            f"\n\n{_UNDONE}"
        )
        title = "Delete this experiment?" if len(found) == 1 else f"Delete these {len(found)} experiments?"

        def confirm(answer: str | None) -> None:
            if answer in ("Delete all", "Keep the runs"):
                self._delete(chosen, with_runs=answer == "Delete all")

        self.app.push_screen(Dialog(title, text, ["Delete all", "Keep the runs", "Cancel"]), confirm)

    def action_resume(self) -> None:
        """Resume the run under the cursor."""
        if run := self._resumable_run:
            self.app.resume(run)

    def action_stop(self) -> None:
        """Ask, and end the experiment under the cursor early."""
        if experiment := self._live_experiment:
            self.app.stop_experiment(experiment)

    @work
    async def _delete(self, chosen: Sequence[Summary], *, with_runs: bool = False) -> None:
        deleted: list[Deleted] = []
        for summary in chosen:
            try:
                if summary.experiment:
                    deleted += await asyncio.to_thread(trash.delete_experiment, summary.experiment, with_runs=with_runs)
                else:
                    deleted.append(await asyncio.to_thread(trash.delete_run, summary.run))
            except RunError as error:
                self.notify(str(error), severity="warning", markup=False)
            except FileNotFoundError:
                pass  # it is deleted already
            except OSError as error:
                message = f"{summary.run.folder} could not be deleted: {error.strerror}"
                self.notify(message, severity="error", markup=False)
        if deleted:
            self.app.deleted.append(deleted)
            self.refresh_bindings()
            size = await asyncio.to_thread(lambda: sum(each.size for each in deleted))
            what = deleted[0].place.name if len(deleted) == 1 else f"{len(deleted)} folders"
            room = formatting.format_size(size)
            self.notify(
                f"{what}: u restores. {room} stay on the disk for {trash.DAYS} days, or until you empty the trash "
                "(Ctrl-P).",
                title="Deleted",
                timeout=10,
                markup=False,
            )
        await self._reread()

    @work
    async def action_restore(self) -> None:
        """Restore the runs that were deleted last."""
        if not self.app.deleted:
            return
        restored = 0
        for deleted in self.app.deleted.pop():
            try:
                await asyncio.to_thread(trash.restore, deleted)
                restored += 1
            except RunError as error:
                self.notify(str(error), severity="warning", markup=False)
        self.refresh_bindings()
        if restored:
            self.notify(f"{formatting.format_quantity(restored, 'folder')} restored.")
        await self._reread()
