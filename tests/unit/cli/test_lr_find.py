"""The learning rate finder without its process: what it refuses, and how it shows what came of a test."""

from __future__ import annotations

import io
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from ftapp import recipe
from ftapp.analysis.lr_suggestions import LossCurve, advise
from ftapp.cli import range_test, range_test_text
from ftapp.common.dot_plot import DotPlot
from ftapp.common.errors import RecipeError
from ftapp.recipe import Phase
from ftapp.recipe.base_rate import override
from ftapp.report import lr_find as drawn
from ftapp.tui.terminal import plain_text
from tests.unit.analysis.test_lr_suggestions import bowl, swept
from tests.unit.report.test_report import checked


def result(curve: LossCurve, own: float = 1e-4) -> dict[str, Any]:
    """What `ftapp lr-find` has in hand at the end of a test with this curve."""
    advice = advise(curve, own)
    return {
        "recipe": "vgg16-two-phase",
        "profile": "quick",
        "arm": None,
        "phase": "head",
        "trained_before": [],
        "optimizer": "adam",
        "batch_size": 32,
        "precision": "float32",
        "steps": curve.steps,
        "ended": curve.ended,
        "seconds": 12.0,
        "curve": {name: getattr(curve, name) for name in ("rates", "losses", "centers", "smoothed")},
        "own_rate": own,
        "suggestions": [vars(each) for each in advice.suggestions],
        "rate": advice.rate,
        "sentences": advice.sentences,
        "weights": {"count": 30, "before": "abc", "after": "abc"},
        "override": advice.rate and f"phase.head.learning_rate={advice.rate:g}",
    }


def shown(report: dict[str, Any], width: int | None, columns: int = 100) -> str:
    console = Console(file=io.StringIO(), width=columns, highlight=False)
    console.print(range_test_text.render_result(report, width), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("phase", "rates", "plot", "messages"),
    [
        ("hed", (1e-6, 1.0), None, ["--phase: there is no phase 'hed'; did you mean 'head'?"]),
        (
            None,
            (1.0, 0.1),
            None,
            ["1 is not below 0.1; the test goes from a lower rate to a higher one; did you mean --from 0.1 --to 1?"],
        ),
        (None, (0.1, 0.1), None, ["0.1 is not below 0.1; the test goes from a lower rate to a higher one; try --to 1"]),
        (
            None,
            (0.0, math.inf),
            None,
            ["--from: 0 is no learning rate; a learning rate is a number above 0", "--to: inf"],
        ),
        (None, (math.nan, 1.0), None, ["nan is no learning rate"]),
        ("hed", (2.0, -1.0), "curve.png", ["--phase", "--to", "did you mean 'curve.svg'?"]),
        (None, (0.1, 1.0), "no-such-folder/curve.svg", ["there is no folder 'no-such-folder'; a plot"]),
    ],
)
def test_what_cannot_be_is_refused(
    phase: str | None, rates: tuple[float, float], plot: str | None, messages: list[str]
) -> None:
    loaded = recipe.load(recipe.find("vgg16-two-phase"))
    with pytest.raises(RecipeError) as refused:
        range_test.check_arguments(loaded, phase, rates, Path(plot) if plot else None)
    for message in messages:
        assert message in str(refused.value)
    assert range_test.check_arguments(loaded, "finetune", (0.1, 1.0), Path("curve.html")) == 1
    assert range_test.check_arguments(loaded, None, (0.1, 1.0), None) == 0


def test_override_keeps_the_ratios_of_a_table() -> None:
    table = {"all": 1e-5, "attention & last:2": 3e-5, "head": 1e-3}
    phase = Phase.model_validate({"name": "finetune", "steps": 1, "learning_rate": table})
    key = override(phase, 2e-3)
    assert key == 'phase.finetune.learning_rate={ "all" = 2e-05, "attention & last:2" = 6e-05, "head" = 0.002 }'
    changed = recipe.load(recipe.find("vgg16-two-phase"), None, [key]).phase[1]
    assert changed.base_rate == 2e-3
    assert changed.learning_rate == {"all": 2e-5, "attention & last:2": 6e-5, "head": 2e-3}
    for rate in (1.0, 4.3e-5, 0.00097):
        plain = override(Phase(name="head", steps=1), rate)
        assert recipe.load(recipe.find("vgg16-two-phase"), None, [plain]).phase[0].base_rate == rate


def test_an_arm_is_tested_and_its_own_rate_changed() -> None:
    path = recipe.find("lesson-bert-frozen-attention")
    arm = range_test.load_recipe(path, "quick", [], "D steadied")
    assert (arm.phase[0].schedule, range_test.load_recipe(path, "quick", [], None).phase[0].schedule) == (
        "cosine",
        "constant",
    )
    key = override(arm.phase[0], 3e-3, "D steadied")
    arms = recipe.load_experiment(path, "quick", [key]).arms
    assert [each.phase[0].learning_rate for each in arms.values()] == [2e-4, 2e-4, 2e-4, 3e-3]
    outcome = result(swept(bowl)) | {"arm": "D steadied"}
    assert shown(outcome, None).startswith("arm D steadied, phase head: range test")
    for name, arms_of in (("lesson-bert-frozen-attention", "did you mean 'D steadied'?"), ("bert-full", "has none")):
        with pytest.raises(RecipeError, match=r"--arm: there is no arm 'D stead'; ") as refused:
            range_test.load_recipe(recipe.find(name), None, [], "D stead")
        assert arms_of in str(refused.value)


def test_it_tells_rules_recipe_and_flag() -> None:
    outcome = result(swept(bowl))
    text = shown(outcome, None)
    for row in outcome["suggestions"]:
        assert re.search(rf"{row['rule']} +{row['rate']:.2g} +{re.escape(row['source'])}", text)
    assert "recipe    0.0001" in text
    assert f"--set {outcome['override']}" in text
    assert "bitwise as they were" in text
    assert "┤" not in text, "without a terminal there is no plot"


def test_a_long_flag_stays_in_one_piece() -> None:
    override = 'phase.finetune.learning_rate={ "all" = 2e-05, "attention & last:2" = 6e-05, "head" = 0.002 }'
    assert f"--set '{override}'" in shown(result(swept(bowl)) | {"override": override}, 40, 40)


def test_without_a_suggestion_there_is_no_flag() -> None:
    text = shown(result(swept(lambda _: 0.7)), 80, 80)
    assert "no descent" in text
    assert "--set" not in text
    assert "steep" not in text
    assert "No suggestion" in shown(result(swept(lambda _: math.nan)), 80, 80)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_plot_marks_each_rate_at_its_place(width: int) -> None:
    outcome = result(swept(bowl))
    lines = shown(outcome, width, width).splitlines()
    axis = next(line for line in lines if "└" in line)
    assert max(map(len, lines)) <= width
    first, last = axis.index("└") + 1, len(axis.rstrip()) - 1
    above = lines[: lines.index(axis)]
    low, high = (math.log10(outcome["curve"]["rates"][index]) for index in (0, -1))
    for sign, rate in [*((row["rule"][0].upper(), row["rate"]) for row in outcome["suggestions"]), ("R", 1e-4)]:
        wanted = first + (math.log10(rate) - low) / (high - low) * (last - first)
        assert any(abs(match.start() - wanted) <= 1 for line in above for match in re.finditer(sign, line)), sign


def test_plot_is_ascii_where_signs_are_missing() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    plain_text.prepare(stream)
    Console(file=stream, width=80, highlight=False).print(range_test_text.render_result(result(swept(bowl)), 80))
    stream.flush()
    text = stream.buffer.getvalue().decode("ascii")
    assert "1e-5" in text
    assert re.search(r"[.':]{4}", text), "the curve is drawn"
    assert "?" not in text


def test_a_plot_draws_dots_where_they_belong() -> None:
    canvas = DotPlot(2, 1, (0, 3), (0, 3))
    canvas.draw_points([0, 3, 9], [0, 3, 1], "red")
    assert [row.plain for row in canvas.text({})] == ["⡀⠈"]
    canvas.draw_line([0, 3], [0, 3], "blue")
    (row,) = canvas.text({})
    assert row == Text("⡠⠊", spans=row.spans)
    assert {span.style for span in row.spans} == {"blue"}
    assert DotPlot(3, 1, (0, 1), (0, 1)).text({1: "red"})[0].plain == " ┊ "


def test_picture_stands_alone(tmp_path: Path) -> None:
    outcome = result(swept(bowl))
    drawn.write(outcome, tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text("utf-8")
    assert "var(" not in text
    assert "nan" not in text
    texts = ["".join(each.itertext()) for each in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    marks = {"recipe 0.0001", f"suggestion {outcome['rate']:g}"}
    assert {"steep", "minimum", "valley", "learning rate", *marks} <= set(texts)
    decades = {"1e-6": 1e-6, "0.001": 1e-3, "0.1": 0.1}
    places = {
        each.text: float(each.attrib["x"])
        for each in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
        if each.text in decades
    }
    assert (places["0.001"] - places["1e-6"]) / (places["0.1"] - places["1e-6"]) == pytest.approx(3 / 5, abs=1e-3)


def test_page_holds_plot_rules_and_flag(tmp_path: Path) -> None:
    outcome = result(swept(bowl))
    drawn.write(outcome, tmp_path / "curve.html")
    text = checked(tmp_path / "curve.html")
    for word in ("steep", "minimum", "valley", outcome["sentences"][0], outcome["override"], "bitwise as they were"):
        assert word in text
    for curve in (swept(lambda _: math.nan), swept(lambda _: 0.7)):
        drawn.write(result(curve), tmp_path / "none.html")
        assert "No suggestion" in checked(tmp_path / "none.html")
        drawn.write(result(curve), tmp_path / "none.svg")
        ET.fromstring((tmp_path / "none.svg").read_text("utf-8"))


def test_result_is_json_without_nan() -> None:
    outcome = result(swept(lambda rate: bowl(rate) if rate < 0.5 else math.nan))
    assert json.loads(json.dumps(outcome, allow_nan=False))["ended"] == "not finite"
    assert np.isfinite(outcome["curve"]["centers"]).all()
