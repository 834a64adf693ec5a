"""What `ftapp explain` writes, from rows as the predictor gives them, and which commands it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.cli.explanation_output import make_data, open_output
from ftapp.common.errors import RunError
from ftapp.explain import drawing
from ftapp.rpc.explanation_messages import ExplainedRow
from ftapp.runs.explanations import Explanation, ShadedWord
from ftapp.runs.run_folder import RunFolder

WORDS = (ShadedWord("Gut", 0.5), ShadedWord(" 日本 <b>", 0.0), ShadedWord("\nnot", -0.5), ShadedWord(" more", None))
TEXT = ExplainedRow(
    name="Gut 日本 <b>\nnot more",
    answer="good",
    answer_scores=(0.9,),
    explanations=(Explanation(label="good", score=0.9, method="integrated gradients", words=WORDS, explained=2.0),),
)
BROKEN = ExplainedRow(name="x", problem="row 2: the text is empty")


def draw_image() -> ExplainedRow:
    image = np.full((40, 60, 3), 200, np.uint8)
    cells = np.array([[0, 0.25], [0, 1]], np.float32)
    overlay = drawing.draw_overlay(image, cells)
    found = Explanation(
        label="cat",
        score=0.75,
        method="Grad-CAM",
        cells=tuple(tuple(map(float, row)) for row in cells),
        picture=drawing.encode_webp(image),
        overlay=drawing.encode_webp(overlay),
    )
    figure = drawing.draw_figure(image, [(overlay, "cat  75.0%")], "as the model sees it")
    return ExplainedRow(name="a/b.jpg", answer="cat", answer_scores=(0.75,), explanations=(found,), figure=figure)


def write(output: Path | None, *rows: ExplainedRow) -> None:
    made = open_output(output, RunFolder(Path("20260101-run")), as_json=False)
    for row in rows:
        made.write(row, "softmax")
    made.close()


def test_a_text_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(None, TEXT, BROKEN)
    out, err = capsys.readouterr()
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].startswith("Gut 日本 <b>")
    assert lines[0].endswith("good 90.0%")
    assert lines[1:3] == ["Gut 日本 <b>", "not more"]
    assert lines[3:5] == ["+50.0%  Gut", "-50.0%  not"]
    assert err.strip() == BROKEN.problem


def test_an_image_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(None, draw_image())
    out = capsys.readouterr().out
    assert "most evidence: bottom right, at 75% of the width and 75% of the height" in out


def test_files_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = draw_image()
    write(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as figure:
        assert figure.width > 2 * 60
    write(tmp_path / "a.svg", TEXT)
    drawn = ElementTree.parse(tmp_path / "a.svg").getroot()
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in ("Gut", "日本 <b>", "not", "more")] == ["Gut", "日本 <b>", "not", "more"]
    write(tmp_path / "a.html", TEXT, image, BROKEN)
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "speaks against good" in page
    assert page.count("data:image/webp;base64,") == 2
    write(tmp_path / "a.json", TEXT, image, BROKEN)
    data = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert data == [json.loads(json.dumps(make_data(row, "softmax"))) for row in (TEXT, image, BROKEN)]
    assert data[0]["explanations"][0]["words"][3] == {"text": " more", "share": None}
    assert data[1]["explanations"][0]["map"] == [[0.0, 0.25], [0.0, 1.0]]
    assert data[2]["error"] == BROKEN.problem
    write(tmp_path / "all", TEXT, BROKEN, image)
    assert sorted(each.name for each in (tmp_path / "all").iterdir()) == [
        "0001-gut-日本-b-not-more.svg",
        "0003-b.png",
        "explanations.json",
    ]
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "all")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"takes texts, which are drawn as \.svg; name 'a\.svg'"):
        write(tmp_path / "a.png", TEXT)
    with pytest.raises(RunError, match="holds one input"):
        write(tmp_path / "a.png", draw_image(), draw_image())
    assert list(tmp_path.iterdir()) == []


def test_the_map_of_no_evidence_leaves_the_image_grey() -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    drawn = drawing.draw_overlay(image, np.zeros((2, 3), np.float32))
    assert np.ptp(drawn.astype(int), axis=-1).max() <= 1
    with Image.open(io.BytesIO(drawing.draw_figure(image, [(drawn, "猫 " * 90)], ""))) as figure:
        assert figure.height < 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to explain"),
        (["--text", "  "], "--text is empty"),
        (["--text", "a", "--class", "b", "--top", "2"], "--class and --top are both given"),
        (["missing.jpg"], "there is no file or folder 'missing.jpg'"),
        (["~nobody.txt"], "there is no file or folder '~nobody.txt'"),
        (["x" * 300], "cannot be read: File name too long"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app.app, ["explain", "last", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
