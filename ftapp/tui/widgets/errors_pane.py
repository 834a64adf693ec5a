"""The test examples with the highest loss."""

from __future__ import annotations

from functools import partial

from rich.table import Table
from rich.text import Text
from textual.content import Content

from ftapp.common.formatting import format_number, make_one_line
from ftapp.runs.example_results import ExampleResult, ExampleResults, format_score, read_example_results
from ftapp.runs.history import History
from ftapp.runs.run_folder import Run
from ftapp.tui.widgets.pane import Pane

_MOST = 100  # examples in the list
_LOSS = 6  # cells of a loss, such as 1.2345


class ErrorsPane(Pane):
    """Shows the test examples of a run with the highest loss: the label, the model's answer, and the example."""

    def __init__(self, run: Run, *, id: str) -> None:
        super().__init__("Highest test losses", id=id)
        self._run = run
        self._results: ExampleResults | None = None
        self._read: object = ()  # the end of the run with which they were read
        self._shown: object = None

    def show(self, history: History) -> bool:
        """Show the examples once the run has ended; without any, the pane is hidden. Returns whether there are some."""
        self._again = partial(self.show, history)
        if history.ended != self._read:
            self._read, self._results = history.ended, read_example_results(self._run, history.result, _MOST)
        results = self._results
        self.set_class(not (results and results.found), "-empty")
        if results is None or self._shown == (shown := (results, self.size.width)):
            return results is not None
        self._shown = shown
        wrong = sum(each.right is False for each in results.found)
        of = f"{len(results.found)} of {results.examples:,}"
        self.border_subtitle = Content(f"{of}, {wrong} wrong" if results.scores else of)
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(justify="right", no_wrap=True, min_width=_LOSS)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for each in results.found:
            table.add_row(Text(format_number(each.loss), self.color("secondary")), self._describe(each, results))
        self.put(table)
        return True

    def _describe(self, each: ExampleResult, results: ExampleResults) -> Text:
        muted = self.color("secondary")
        text = Text()
        if each.answer:
            truth, answer = make_one_line(each.truth), make_one_line(each.answer)
            color = self.color("success" if each.right else "error" if each.right is False else "foreground")
            text.append(answer if each.right else f"{truth} → {answer}", color)
            text.append(f" {format_score(each.answer_score, results.scores)}  ", muted)
        text.append(make_one_line(each.example), muted)
        if each.text:
            text.append(f"  {make_one_line(each.text)}")
        if each.truth and not each.answer:
            text.append(f" → {make_one_line(each.truth)}", self.color("primary"))
        return text
