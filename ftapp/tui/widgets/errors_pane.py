"""The test examples with the highest loss."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content

from ftapp.common.formatting import format_number, make_one_line
from ftapp.common.word_shades import find_word_style
from ftapp.runs.example_results import ExampleResult, ExampleResults, format_score, read_example_results
from ftapp.runs.explanations import Explanation, read_explanations
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.widgets.pane import Pane
from ftapp.tui.widgets.pictures import Pictures, fit_width

_MOST = 100  # examples in the list
_LOSS = 6  # cells of a loss, such as 1.2345
_PICTURE, _MOST_PICTURES = 10, 24  # columns of an image, and how many are shown


class ErrorsPane(Pane):
    """Shows the test examples of a run with the highest loss: the label, the model's answer, and the example.

    The images that the run has kept stand above the list. Once the answers are explained (`ftapp report --explain`),
    words are shaded, and images stand below their maps.
    """

    DEFAULT_CSS = """
    ErrorsPane > Pictures { display: none; }
    ErrorsPane.-pictured > Pictures { display: block; }
    """

    def __init__(self, run: RunFolder, *, id: str) -> None:
        super().__init__("Highest test losses", id=id)
        self._run = run
        self._results: ExampleResults | None = None
        self._explained: Mapping[str, Explanation] = {}
        self._read: object = ()  # the end of the run with which they were read
        self._shown: object = None

    def compose(self) -> ComposeResult:
        yield Pictures()
        yield from super().compose()

    def show(self, history: History) -> bool:
        """Show the examples once the run has ended; without any, the pane is hidden. Returns whether there are some."""
        self._again = partial(self.show, history)
        if history.ended != self._read:
            self._read, self._results = history.ended, read_example_results(self._run, history.result, _MOST)
            self._explained = read_explanations(self._run, history.result)
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
        self.set_class(any(each.picture for each in results.found), "-pictured")
        self.call_later(self._show_pictures)  # by the pane itself, one time after another
        return True

    async def _show_pictures(self) -> None:
        """Show the images, with what is said of each where there is room for it."""
        found = [each for each in self._results.found if each.picture] if self._results else []
        across = max(1, self.content_size.width // (_PICTURE + 1))
        named = [(self._find_picture(each), self._name_answer(each)) for each in found[:_MOST_PICTURES]]
        rows = [named[start : start + across] for start in range(0, len(named), across)]
        if rows and self.query(Pictures):  # a screen that is being left has none
            await self.query_one(Pictures).show(rows, fit_width(self, across, _PICTURE))

    def _find_picture(self, each: ExampleResult) -> bytes:
        """Find the picture of an example: below its map, once the answer is explained."""
        explained = self._explained.get(each.example)
        return (explained.overlay if explained else b"") or each.picture

    def _name_answer(self, each: ExampleResult) -> str:
        truth, answer = make_one_line(each.truth), make_one_line(each.answer)
        return answer if each.right else f"{truth} → {answer}"

    def _describe(self, each: ExampleResult, results: ExampleResults) -> Text:
        muted = self.color("secondary")
        text = Text()
        if each.answer:
            color = self.color("success" if each.right else "error" if each.right is False else "foreground")
            text.append(self._name_answer(each), color)
            text.append(f" {format_score(each.answer_score, results.scores)}  ", muted)
        text.append(make_one_line(each.example), muted)
        if each.example in self._explained:
            text.append("  ")
            for piece, shade in self._explained[each.example].shades:
                text.append(" " if piece[:1].isspace() else "").append(make_one_line(piece), find_word_style(shade))
        elif each.text:
            text.append(f"  {make_one_line(each.text)}")
        if each.truth and not each.answer:
            text.append(f" → {make_one_line(each.truth)}", self.color("primary"))
        return text
