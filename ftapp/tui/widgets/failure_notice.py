"""Why a run failed or waits, with the last lines of its log."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ftapp.runs import narration
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.widgets.pane import theme_color


class FailureNotice(Static):
    """Shows why a run failed, with the last lines of its log, or why it waits. It is hidden for other runs."""

    DEFAULT_CSS = """
    FailureNotice {
        display: none; height: auto; max-height: 12; margin: 0 1; padding: 0 1;
        border-left: thick $error; background: $error 8%;
    }
    """

    def show(self, run: RunFolder, history: History, status: str, damage: str | None) -> None:
        """Show what is wrong with a run, if anything is.

        Args:
            run: The run.
            history: The run so far.
            status: As `RunFolder.standing` returns it.
            damage: As `RunFolder.damage` returns it.
        """
        waits = status == "running" and run.waits_for_room()
        self.display = waits or status in ("failed", "crashed", "refused", "damaged")
        if not self.display:
            return
        if waits:
            self.update(Text(narration.FULL_DISK, "bold"))
            return
        ended = history.ended
        reason = "the run's process ended without an error message" if ended is None else ended.error or ""
        text = Text(damage or reason, "bold")
        lines = run.last_log_lines(6 if self.app.size.height > 30 else 3) if status != "refused" else []
        if lines:
            text.append("\n" + "\n".join(lines), f"not bold {theme_color(self, 'text-muted')}")
        if not lines and ended is None and not damage:
            text.append("\nits log is empty or gone", "not bold")
        self.update(text)
