"""What a model answers to held-out examples, as text: the scores of classes in a table, and numbers as points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from ftapp.common.dot_plot import DotPlot
from ftapp.runs.answer_events import NumbersCompared, SetsScored
from ftapp.tui.widgets import names

_NAME = 16  # cells of a class's name at most
_BAR = 12  # cells of the bar of F1 at most
_HEADS = ((" F1", 5), (" prec.", 6), (" recall", 7), (" AP", 5))  # of the numbers beside the bar, with cells
_HEIGHT = 6  # rows of a plot
_MARGIN = 0.03  # of a plot, beyond its outermost points

Colors = Callable[[str], str]
"""Gives the colour of a name of the theme."""


def draw_sets(event: SetsScored, classes: Sequence[str], width: int, colors: Colors) -> Text:
    """Draw F1, precision, recall and average precision of each class, the most frequent class first.

    Args:
        event: The scores.
        classes: The names of the classes.
        width: The cells of a line.
        colors: Gives the colours of the theme.
    """
    labels = list(map(names.make_visible, classes))
    room = width - 1 - sum(size for _, size in _HEADS)
    edge = max(1, min(_NAME, names.measure_longest(labels), room))
    bar = min(_BAR, max(0, room - edge))
    heads = "".join(head.rjust(size) for head, size in _HEADS)
    text = Text(f"{' ' * (edge + 1 + bar)}{heads}", colors("secondary"))
    for at in sorted(range(len(labels)), key=lambda at: -event.counts[at]):
        filled = round(event.f1[at] * bar)
        text.append(f"\n{names.fit(labels[at], edge, right=True)} ", colors("secondary"))
        text.append("━" * filled, colors("primary")).append(" " * (bar - filled))
        average = event.average_precision[at]
        text.append(f"{event.f1[at]:5.2f}", f"bold {colors('foreground')}")
        area = "–" if average is None else f"{average:.2f}"
        numbers = f"{event.precision[at]:6.2f}{event.recall[at]:7.2f}{area:>5}"
        text.append(numbers, colors("foreground"))
    return text


def draw_numbers(event: NumbersCompared, width: int, colors: Colors) -> Text:
    """Draw a point for each example, with its number across and the answer up, and the line of right answers.

    Args:
        event: The numbers and answers.
        width: The cells of a line.
        colors: Gives the colours of the theme.
    """
    values = [*event.truth, *event.answers]
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or max(1.0, abs(high))
    limits = (low - margin, high + margin)
    ends = [f"{low:.6g}", f"{high:.6g}"]
    edge = max(map(len, ends))
    plot = DotPlot(max(8, width - edge - 1), _HEIGHT, limits, limits)
    plot.draw_line(limits, limits, colors("border"))
    plot.draw_points(event.truth, event.answers, colors("primary"))
    text = Text()
    for row, line in enumerate(plot.text({})):
        label = ends[1] if row == 0 else ends[0] if row == _HEIGHT - 1 else ""
        text.append(f"{label.rjust(edge)} ", colors("secondary")).append(line).append("\n")
    below = f"{ends[0]}{'true number'.center(max(0, plot.columns - len(ends[0]) - len(ends[1])))}{ends[1]}"
    return text.append(f"{' ' * (edge + 1)}{below}", colors("secondary"))
