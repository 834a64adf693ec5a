"""The samples of a language model, or what another model answers to held-out examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text
from textual.color import Color
from textual.content import Content

from ftapp.common import formatting
from ftapp.runs.history import History
from ftapp.runs.phase_events import Confused, Sampled
from ftapp.tui.widgets import names
from ftapp.tui.widgets.answer_texts import draw_numbers, draw_sets
from ftapp.tui.widgets.pane import Pane

_NAME = 12  # cells of a class's name beside the confusion matrix
_MISTAKES = 500  # confusions in the list, at most


class ExamplesPane(Pane):
    """Shows the texts of a language model, or which answers another model gives: a confusion matrix or another form."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Samples", id=id)
        self._shown: object = None

    def show(self, history: History) -> None:
        """Show the samples, the newest first, or the answers of the latest evaluation."""
        self._again = partial(self.show, history)
        lists = (history.samples, history.confusions, history.set_scores, history.comparisons)
        newest = [events[-1].time for events in lists if events]
        self.set_class(not newest, "-empty")
        if self._shown == (shown := (newest, self.size.width)):
            return
        self._shown = shown
        classes = history.data.classes if history.data else []
        if history.confusions and classes and len(history.confusions[-1].counts) == len(classes):
            self._confusion(history.confusions[-1], classes)
        elif history.set_scores and len(history.set_scores[-1].f1) == len(classes):
            scored = history.set_scores[-1]
            self._put_title("By class", scored.split, scored.step)
            self.put(draw_sets(scored, classes, self._room, self.color))
        elif history.comparisons and history.comparisons[-1].truth:
            compared = history.comparisons[-1]
            self._put_title("Answers over true numbers", compared.split, compared.step)
            self.put(draw_numbers(compared, self._room, self.color))
        else:
            self._samples(history.samples)

    @property
    def _room(self) -> int:
        """The cells of a line."""
        return self.size.width - 4

    def _put_title(self, title: str, split: str, step: int) -> None:
        self.border_title = title
        self.border_subtitle = Content(f"{split}, step {step}")

    def _samples(self, samples: Sequence[Sampled]) -> None:
        self.border_title = "Samples"
        parts: list[RenderableType] = []
        for sample in reversed(samples):
            text = Text(f"after {formatting.format_quantity(sample.step, 'step')}  ", self.color("secondary"))
            text.append(sample.prompt, f"bold {self.color('foreground')}")
            written = " ".join(formatting.make_printable(sample.text.removeprefix(sample.prompt)).split())
            text.append(f" {written}", self.color("foreground"))
            parts += [text, Text()]
        self.put(Group(*parts))

    def _confusion(self, event: Confused, classes: Sequence[str]) -> None:
        """Draw true classes in rows, predicted classes in columns. A stronger colour is a larger share of the row."""
        self._put_title("Confusion, true classes in rows", event.split, event.step)
        labels = [names.cut(names.make_visible(name), _NAME) for name in classes]
        label, room = names.measure_longest(labels), self._room
        digits = max(len(str(count)) for row in event.counts for count in row)
        # Whole names over the columns where there is space, else as much as the numbers leave.
        fitting = [cell for cell in (label + 1, digits + 1) if cell > digits and label + 1 + cell * len(labels) <= room]
        if not fitting:
            self.put(self._mistakes(event, classes))
            return
        cell = max(3, fitting[0])
        ground, right, wrong = (Color.parse(self.color(name)) for name in ("background", "primary", "error"))
        heads = [set_cell_size(name, min(cell - 1, cell_len(name))) for name in labels]
        head = "".join(names.fit(each, cell, right=True) for each in heads)
        text = Text(f"{' ' * (label + 1)}{head}\n", self.color("secondary"))
        for index, (name, row) in enumerate(zip(labels, event.counts, strict=True)):
            text.append(f"{names.fit(name, label, right=True)} ", self.color("secondary"))
            for column, count in enumerate(row):
                share = count / max(1, sum(row))
                shade = ground.blend(right if column == index else wrong, 0.75 * share)
                number = f"{count or '·'}".rjust(cell - 1) + " "
                text.append(
                    number, f"{shade.get_contrast_text().hex6 if count else self.color('panel')} on {shade.hex6}"
                )
            text.append("\n")
        self.put(text)

    def _mistakes(self, event: Confused, classes: Sequence[str]) -> RenderableType:
        """List the most frequent confusions, where there are too many classes for a matrix."""
        found = sorted(
            ((count, true, predicted) for true, row in enumerate(event.counts) for predicted, count in enumerate(row)),
            reverse=True,
        )
        wrong = [each for each in found if each[1] != each[2] and each[0]][:_MISTAKES]
        right = sum(row[index] for index, row in enumerate(event.counts))
        total = sum(map(sum, event.counts))
        labels = list(map(names.make_visible, classes))
        lines = [Text(f"{right} of {total} right; most often wrong:" if wrong else f"all {total} right")]
        lines += [
            Text.assemble((f"{count:>5}  ", self.color("error")), f"{labels[true]} taken for {labels[predicted]}")
            for count, true, predicted in wrong
        ]
        return Group(*lines)
