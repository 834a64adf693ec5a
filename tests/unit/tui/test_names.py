"""Names of classes in columns."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from ftapp.rpc.messages import HeldOut, Prediction
from ftapp.runs.answer_events import SetsScored
from ftapp.tui.widgets import classify, names
from ftapp.tui.widgets.answer_texts import draw_sets

WILD = [
    "comedy",
    "日本語のラベル",
    "a label that goes on for sixty characters and even some more",
    "tab\tand\nline \x1b[31m",
]


@pytest.mark.parametrize("width", [0, 1, 2, 7, 16, 80])
@pytest.mark.parametrize("right", [False, True])
def test_a_name_takes_the_cells_of_its_column(width: int, right: bool) -> None:
    for name in map(names.make_visible, WILD):
        assert cell_len(names.fit(name, width, right=right)) == width
        assert cell_len(names.cut(name, width)) <= width


def test_a_name_is_one_line_and_steers_no_terminal() -> None:
    assert names.make_visible("a\tb\nc\x1b") == "a\u2409b\u240ac\u241b"


@pytest.mark.parametrize("width", [30, 36, 60])
def test_the_table_of_labels_has_lines_of_one_width(width: int) -> None:
    count = len(WILD)
    event = SetsScored(
        time=1.0,
        step=1,
        split="test",
        thresholds=[0.5] * count,
        precision=[1.0] * count,
        recall=[0.25] * count,
        f1=[0.4] * count,
        average_precision=[None, 0.5, 1.0, 0.0],
        counts=[4, 3, 2, 1],
    )
    lines = draw_sets(event, WILD, width, lambda name: "").plain.split("\n")
    assert len({cell_len(line) for line in lines}) == 1
    assert cell_len(lines[0]) <= width
    assert lines[0].split() == ["F1", "prec.", "recall", "AP"]
    assert lines[1].split()[-4:] == ["0.40", "1.00", "0.25", "–"]


def test_the_answer_of_several_labels_has_no_single_score() -> None:
    found = Prediction(classes=("a", "b"), scores=(0.4, 0.6), meaning="one-vs-rest", thresholds=(0.3, 0.7))
    held_out = HeldOut(label="a, b", prediction=found, text="some\ttext")
    assert str(classify._describe_held_out(held_out)) == "✗ a, b taken for a  some text"
    assert classify._name_scores(found) == "Probability of each label"
