"""The widgets of Try it alone, without a model."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from ftapp.common import formatting
from ftapp.rpc.messages import Prediction
from ftapp.runs.explanations import Explanation, ShadedWord
from ftapp.tui.widgets.explained_text import ExplainedText
from ftapp.tui.widgets.picture import Picture
from ftapp.tui.widgets.prompt import InputHistory
from ftapp.tui.widgets.score_bars import ScoreBars
from tests.tui.harness import drawn


async def test_there_is_nothing_where_a_picture_is_going_to_be() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield Picture()

    app = Shown()
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        assert not "".join(drawn(app.screen)).strip()


def test_former_values_keep_the_draft() -> None:
    former = InputHistory()
    assert former.step(-1, "new") is None
    former.add("one")
    former.add("two")
    former.add("one")
    assert [former.step(by, "new") for by in (-1, -1, -1, 1, 1, 1)] == ["one", "two", None, "one", "new", None]


def test_control_characters_are_shown_and_not_sent() -> None:
    assert formatting.make_printable("a\x1b[2Jb\n\tc\x7f\u202e") == "a␛[2Jb\n\tc\ufffd\ufffd"


async def test_scores_of_many_classes_and_of_margins() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield ScoreBars()

    many = Prediction(
        classes=tuple(f"class {index}" for index in range(50)),
        scores=tuple((index + 1) / 1275 for index in range(50)),
        meaning="probabilities",
    )
    margins = Prediction(classes=("left", "right"), scores=(-2.0, 1.0), meaning="decision values")
    app = Shown()
    async with app.run_test(size=(60, 10)) as pilot:
        scores = app.query_one(ScoreBars)
        scores.prediction = many
        await pilot.pause()
        lines = str(scores.render()).splitlines()
        assert len(lines) == 10
        assert lines[0].startswith("class 49")
        assert "41 more" in lines[-1]
        scores.prediction = margins
        await pilot.pause()
        left, right = str(scores.render()).splitlines()
        assert left.index("━") < left.index("│")
        assert right.index("━") > right.index("│")
        assert left.count("━") == pytest.approx(2 * right.count("━"), abs=1)
        assert "-2.00" in left


async def test_words_are_shaded_by_what_they_say() -> None:
    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield ExplainedText(classes="-shown")

    words = (
        ShadedWord("Great", 0.8),
        ShadedWord(" but", 0.0),
        ShadedWord(" du\x1bll", -0.2),
        ShadedWord("\nend", None),
    )
    app = Shown()
    async with app.run_test(size=(40, 6)) as pilot:
        text = app.query_one(ExplainedText)
        text.show(Explanation(label="good", score=0.9, method="integrated gradients", words=words))
        await pilot.pause()
        lines = [line.strip() for line in drawn(app.screen)]
        assert lines[1:4] == ["for good   against good", "Great but du␛ll", "end"]
        strip = app.screen._compositor.render_strips()[2]
        colors = {each.text.strip(): each.style.bgcolor.name for each in strip if each.style and each.style.bgcolor}
        assert colors["Great"] == "#f59e42"
        assert colors["du␛ll"] not in (colors["Great"], colors["but"])
        text.show(Explanation(label="", score=4.5, method="integrated gradients", words=words))
        await pilot.pause()
        assert "raises the number" in "".join(drawn(app.screen))
