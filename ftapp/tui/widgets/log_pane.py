"""The log of a run: its events, with the time of day, and the output of its process."""

from __future__ import annotations

import os
from datetime import datetime

from rich.text import Text
from textual import events, on
from textual.widgets import RichLog

from ftapp.common import formatting
from ftapp.common.safe_files import open_file
from ftapp.runs import log_lines, narration
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.widgets.pane import theme_color

_LOG_LINES, _LOG_BYTES = 500, 100_000


class LogPane(RichLog):
    """Shows the events of a run, with the time of day, and the output of its process."""

    def __init__(self, run: RunFolder, *, id: str) -> None:
        super().__init__(id=id, classes="pane", max_lines=_LOG_LINES, min_width=0, wrap=True, auto_scroll=False)
        self.border_title = "Log"
        self._run = run
        self._written = 0  # events
        self._printed = 0  # bytes of train.log
        self._width = 0  # to which its lines are wrapped
        self._history = History()

    def show(self, history: History) -> None:
        """Add new lines, or write all lines again for another width, and where the run was resumed."""
        if self._history is not history or self._width != self.size.width:
            self._history = history
            self._width, self._written, self._printed = self.size.width, 0, 0
            self.clear()
        muted = theme_color(self, "secondary")
        follows = self.is_vertical_scroll_end  # the user has not scrolled up
        for line in log_lines.pick_telling_lines(self._new_output()):
            self.write(Text(formatting.make_printable(line), muted))
        happened = history.happened()
        for event in happened[self._written :]:
            clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S ")
            for line in narration.narrate(event):
                self.write(Text.assemble((clock, muted), line))
        self._written = len(happened)
        if follows:
            self._to_end()

    @on(events.Resize)
    def _wrap_again(self) -> None:
        self.show(self._history)
        self._to_end()

    def _to_end(self) -> None:
        self.call_after_refresh(self.scroll_end, animate=False)

    def _new_output(self) -> list[str]:
        """Read the new lines of the process; of a long log only the end."""
        try:
            with open_file(self._run.log_file) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._printed, size - _LOG_BYTES))
                data = file.read()
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        self._printed = size - len(data) + end
        return data[:end].decode("utf-8", errors="replace").splitlines()
