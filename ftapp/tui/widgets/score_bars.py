"""The scores of classes as bars, or a number."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from ftapp.rpc.messages import Prediction
from ftapp.tui.widgets import names

_NUMBER = 8  # columns


class ScoreBars(Widget):
    """Draws a bar for each class, those that the model answers in the primary colour; of a number, the number itself.

    Classes keep their order where all fit, so that bars do not jump while the user types; else the best come first.
    Probabilities start at the left edge; decision values, which may be negative, in the middle.

    Attributes:
        prediction: The classes with their scores.
    """

    DEFAULT_CSS = """
    ScoreBars { height: 1fr; }
    """

    prediction: reactive[Prediction | None] = reactive(None)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def render(self) -> Content:
        if self.prediction is None:
            return Content("")
        if not self.prediction.classes:
            return Content.styled(names.make_visible(self.prediction.answer), "$primary bold")
        room = max(1, self.content_size.height)
        ranked = sorted(zip(self.prediction.classes, self.prediction.scores, strict=True), key=lambda pair: -pair[1])
        answered = self.prediction.answered
        if len(ranked) <= room:
            order = {name: index for index, name in enumerate(self.prediction.classes)}
            shown = sorted(ranked, key=lambda pair: order[pair[0]])
        else:
            shown = ranked[: max(1, room - 1)]
        width = self.content_size.width
        visible = {name: names.make_visible(name) for name, _ in shown}
        edge = min(names.measure_longest([*visible.values()]), max(6, width // 3))
        bars = max(1, width - edge - _NUMBER - 2)
        signed = self.prediction.meaning == "decision values"
        scale = max(abs(score) for _, score in ranked) or 1.0 if signed else 1.0
        lines = []
        for name, score in shown:
            is_answer = name in answered
            style = "$primary" if is_answer else "$foreground 50%"
            bar = _draw_signed_bar(score / scale, bars) if signed else _draw_bar(score, bars)
            lines.append(
                Content.assemble(
                    (f"{names.fit(visible[name], edge)} ", "$foreground" if is_answer else "$foreground 60%"),
                    (bar, style),
                    (_number(score, signed).rjust(_NUMBER), "$foreground bold" if is_answer else "$foreground 60%"),
                )
            )
        if rest := len(ranked) - len(shown):
            lines.append(Content.styled(f"and {rest:,} more below", "$foreground 60%"))
        return Content("\n").join(lines)


def _draw_bar(share: float, width: int) -> str:
    halves = round(2 * width * min(1.0, max(0.0, share)))
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width)


def _draw_signed_bar(share: float, width: int) -> str:
    """Draw a bar from the middle, to the right for a positive share and to the left for a negative one."""
    half = max(1, (width - 1) // 2)
    length = round(half * abs(share))
    left, right = ("", "━" * length) if share >= 0 else ("━" * length, "")
    return f"{left.rjust(half)}│{right.ljust(half)}".ljust(width)


def _number(score: float, signed: bool) -> str:
    return f"{score:+.2f}" if signed else f"{score:.1%}"
