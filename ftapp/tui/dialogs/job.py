"""The progress and the result of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Label, ProgressBar, Static

from ftapp.common.formatting import format_duration
from ftapp.tui.jobs import BackgroundJob
from ftapp.tui.widgets.facts import Facts

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_REFRESH_SECONDS = 0.2


class JobDialog(ModalScreen[None]):
    """A dialog with a job. It can be left and opened again while the job goes on."""

    CSS = "JobDialog #dialog { width: 84; }"
    DEFAULT_CSS = """
    JobDialog #state { height: auto; max-height: 10; }
    JobDialog #state.-wrong { color: $error; }
    JobDialog ProgressBar { width: 100%; margin-top: 1; }
    JobDialog ProgressBar Bar { width: 1fr; }
    JobDialog #found { height: auto; max-height: 14; margin-top: 1; }
    JobDialog.-short #found, JobDialog.-short #state { max-height: 9; }
    JobDialog #hint { color: $text-muted; margin-top: 1; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Hide", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]
    AUTO_FOCUS = "#hide"

    app: FtApp

    def __init__(self, job: BackgroundJob) -> None:
        super().__init__()
        self.job = job
        self._shown: object = None

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self.job.title, id="dialog-title", markup=False)
            yield Static(id="state", markup=False)
            yield ProgressBar(show_eta=False)
            with VerticalScroll(id="found", can_focus=False):
                yield Facts()
            yield Static(id="hint", markup=False)
            with Horizontal(id="dialog-answers"):
                yield Button("Open", id="open", compact=True)
                yield Button("Cancel it", id="cancel", compact=True)
                yield Button("Hide", id="hide", variant="primary", compact=True)

    def on_mount(self) -> None:
        self._show()
        self.set_interval(_REFRESH_SECONDS, self._show)

    def _show(self) -> None:
        if not self.query(ProgressBar):  # the dialog is being left and has no widgets
            return
        job, bar = self.job, self.query_one(ProgressBar)
        if job.status == "running":
            count = f" {job.done:,} of {job.total:,}" if job.total else f" {job.done:,}" if job.done else ""
            self.query_one("#state", Static).update(f"{job.activity}{count}, {format_duration(job.seconds)}")
            bar.update(total=job.total or None, progress=job.done)
        if job.status == self._shown:
            return
        self._shown = job.status
        running = job.status == "running"
        bar.display = running
        self.query_one("#cancel").display = running
        self.query_one("#open").display = job.status == "done"
        self.query_one("#hide", Button).label = "Hide" if running else "Close"
        state = self.query_one("#state", Static)
        state.set_class(job.status == "failed", "-wrong")
        self.query_one("#hint").display = running
        self.query_one("#hint", Static).update(
            "Escape hides this, and the job goes on. Ctrl-P shows it again. It ends with the interface."
        )
        if job.status == "failed":
            state.update(job.error)
        elif job.status == "cancelled":
            state.update(f"Cancelled after {format_duration(job.seconds)}. {job.kept}")
        elif job.result:
            state.update(f"Done after {format_duration(job.seconds)}.")
            self.query_one(Facts).rows = [(label, Content(text)) for label, text in job.result.facts.items()]

    @on(Button.Pressed, "#cancel")
    @work
    async def _cancel(self) -> None:
        self.query_one("#cancel", Button).disabled = True
        await self.job.cancel()

    @on(Button.Pressed, "#open")
    def _open(self) -> None:
        if self.job.result:
            self.app.open_path(self.job.result.path)

    @on(Button.Pressed, "#hide")
    def _hide(self) -> None:
        self.dismiss(None)
