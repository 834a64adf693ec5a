"""Reports are whole pages that load nothing, and their plots draw what they are given."""

from __future__ import annotations

import base64
import logging
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from typer.testing import CliRunner

from ftapp.analysis.records import read_arms, read_record
from ftapp.cli import app
from ftapp.data import thumbnails
from ftapp.report import card, color_maps, comparison, pieces, svg
from ftapp.report import run as single
from ftapp.report.svg import Line
from ftapp.runs import narration
from ftapp.runs.event_log import EventLog, NoteHandler
from ftapp.runs.events import BestRestored, ModelSaved
from ftapp.runs.example_results import ExampleResult
from ftapp.runs.explanations import Explanation, ShadedWord, read_explanations, write_explanations
from ftapp.runs.history import History
from ftapp.runs.phase_events import LayersChanged, SegmentProof, Stepped
from tests.support.example_results import FOUND, write_examples
from tests.support.recorded_runs import record_run

VOID = {"meta", "br", "img", "link", "input"}


class Checker(HTMLParser):
    """Whether each tag is closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(path: Path) -> str:
    """The text of a page that is whole and loads nothing."""
    page = path.read_text("utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not re.search(r"<script|src=(?!\"data:)|@import|url\(|<link", page)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    for plot in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert "nan" not in plot
        ET.fromstring(plot)
    return checker.text


def drawn(plot: str) -> ET.Element:
    return ET.fromstring(plot)


def test_report_of_a_run(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    result = CliRunner().invoke(app.app, ["report", str(made.folder)])
    assert result.exit_code == 0
    assert result.stdout.strip() == str(made.folder / "report.html")
    text = checked(made.folder / "report.html")
    for words in (
        "80.0%",
        "52.0% of 1,000",
        "all 4 frozen weights are bitwise",
        "hash of the frozen: 0123abcd",
        "ftapp run bert-full",
    ):
        assert words in text, words
    assert "pooled_dense" in text
    # 35 of 50 of the first class and 45 of 50 of the second; 40 and 60 were taken for them
    assert "bad0.8750.7000.77850good0.7500.9000.81850mean0.8120.8000.798100" in text
    assert "from 0 to 0.12" in text
    # |45 - 51| and |35 - 38| of 100 examples
    assert "Expected calibration error 0.090" in text
    assert "learning_rate = 3e-05" in text
    written = (made.folder / "MODEL_CARD.md").read_text("utf-8")
    assert "Accuracy: 80.00%" in written
    assert "bert_base_en_uncased" in written


def test_report_shows_augmented_images_and_norms_of_gradients(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    text = checked(single.write(read_record(made)))
    assert "Augmentation" not in text
    assert "Norm of the gradient" not in text
    log = EventLog(made.events_file)
    log.write(Stepped(time=1.0, step=99, epoch=1, loss=0.1, gradient_norm=2.0, rate=1.0, seconds=1.0, memory=1))
    images = np.random.default_rng(0).integers(0, 255, (3, 2, 40, 30, 3), np.uint8)
    thumbnails.write_sheet(images, made.augmentation_file)
    with Image.open(made.augmentation_file) as sheet:
        assert sheet.size == (3 * 30 + 2 * 4, 2 * 40 + 4)
    text = checked(single.write(read_record(made)))
    assert "Augmentation" in text
    assert "Norm of the gradient" in text
    assert "data:image/webp;base64," in (made.folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("status", ["failed", "interrupted", None])
def test_report_of_a_run_that_did_not_end_well(status: str | None, tmp_path: Path) -> None:
    made = record_run(tmp_path, status=status)  # type: ignore[arg-type]
    one = read_record(made)
    assert (status or "crashed") in checked(single.write(one))
    assert "not a finished model" in card.write_card_text(one)


def test_report_of_a_run_without_events(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    made.events_file.unlink()
    assert "crashed" in checked(single.write(read_record(made)))


def test_report_of_several_runs(tmp_path: Path) -> None:
    a = record_run(tmp_path, 'title=A <b>bold</b> & "quoted" title')
    b = record_run(tmp_path, losses=[3.0, 2.5, 2.2, 2.1, 2.0, 1.9], accuracy=None)
    file = tmp_path / "page.html"
    result = CliRunner().invoke(app.app, ["report", str(a.folder), str(b.folder), "-o", str(file)])
    assert result.exit_code == 0
    text = checked(file)
    assert "B bert-full has a higher training loss than A bert-full" in text
    assert '<b>bold</b> & "quoted"' in text
    assert "1.0000" in text
    assert "the mean over the 2 layers that train in both" in text
    assert "A bert-full has the lower loss: 83% of the points" in text  # all but the first step


def test_comparison_of_many(tmp_path: Path) -> None:
    found = read_arms([record_run(tmp_path) for _ in range(10)])
    assert "J bert-full" in checked(comparison.write(found, tmp_path / "page.html"))


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    result = CliRunner().invoke(app.app, ["report", str(made.folder), "-o", str(tmp_path / "no" / "page.html")])
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path}/no/page.html cannot be written: No such file or directory\n"


def test_a_line_goes_through_its_points_and_keeps_its_extremes() -> None:
    x = np.arange(5000.0)
    y = np.zeros(5000)
    y[1234], y[4321] = 7.0, -3.0
    plot = drawn(svg.draw_lines([Line("loss", x, y)], "step"))
    line = plot.find("polyline")
    assert line is not None
    points = np.array([list(map(float, point.split(","))) for point in line.attrib["points"].split()])
    assert len(points) <= 402
    top, bottom = points[:, 1].argmin(), points[:, 1].argmax()
    share = (points[:, 0] - points[0, 0]) / (points[-1, 0] - points[0, 0])
    assert share[top] == pytest.approx(1234 / 4999, abs=1e-3)
    assert share[bottom] == pytest.approx(4321 / 4999, abs=1e-3)
    assert (np.diff(points[:, 0]) >= 0).all()


def test_plots_of_nothing_and_of_one_point() -> None:
    empty = np.zeros(0)
    assert "Nothing to draw" in svg.draw_lines([Line("a", empty, empty)], "step")
    assert "Nothing to draw" in svg.draw_lines([Line("a", np.ones(3), np.full(3, np.nan))], "step")
    assert "Nothing to draw" in svg.draw_bars([], ["a"], str)
    assert len(drawn(svg.draw_lines([Line("a", np.ones(1), np.ones(1))], "step", log=True)).findall("circle")) == 1
    assert len(drawn(svg.draw_scatter(np.ones(1), np.ones(1), "x", "y")).findall("circle")) == 1


def test_points_lie_on_their_side_of_the_line() -> None:
    plot = drawn(svg.draw_scatter(np.array([1.0, 2.0]), np.array([2.0, 1.0]), "loss of B", "loss of A"))
    diagonal = next(line for line in plot.findall("line") if line.attrib["class"] == "diagonal")
    x1, y1, x2, y2 = (float(diagonal.attrib[name]) for name in ("x1", "y1", "x2", "y2"))

    def above(mark: ET.Element) -> bool:
        x, y = float(mark.attrib["cx"]), float(mark.attrib["cy"])
        return y < y1 + (x - x1) / (x2 - x1) * (y2 - y1)

    assert [above(mark) for mark in plot.findall("circle")] == [True, False]


def test_bars_are_as_long_as_their_amounts() -> None:
    plot = drawn(svg.draw_bars([("A", [1.0, 3.0]), ("B", [2.0, 0.0])], ["features", "training"], "{:.0f} s".format))
    widths = [float(box.attrib["width"]) for box in plot.findall("rect")]
    assert widths == pytest.approx([widths[0], 3 * widths[0], 2 * widths[0]], rel=0.02)
    assert "4 s" in ["".join(text.itertext()) for text in plot.findall("text")]


def test_heat_is_strongest_where_values_are_largest() -> None:
    values = np.array([[0.0, 1.0], [4.0, 2.0]])
    plot = drawn(color_maps.draw_heat(values, ["a/query", "b/value"], np.array([1.0, 2.0]), "step", "drift"))
    shades = [float(box.attrib["fill-opacity"]) for box in plot.findall("rect")]
    assert np.argsort(shades).tolist() == [0, 1, 3, 2]


def test_confusion_matrix_shows_its_counts() -> None:
    plot = drawn(color_maps.draw_matrix(np.array([[9, 1], [0, 5]]), ["cat", "dog"]))
    report = ["".join(text.itertext()) for text in plot.findall("text")]
    assert {"9", "1", "5", "cat", "dog"} <= set(report)
    assert "0" not in report
    titles = [title.text for title in plot.iter("title")]
    assert "cat taken for dog: 1, 10%" in titles


def test_smoothing_keeps_a_constant_and_the_mean_of_a_line() -> None:
    assert pieces.smooth(np.ones(1000)) == pytest.approx(np.ones(1000))
    line = np.linspace(0, 1, 1001)
    assert pieces.smooth(line)[500] == pytest.approx(0.5)
    assert np.std(pieces.smooth(np.random.default_rng(0).normal(size=1000))) < 0.3


def test_a_card_begins_with_the_metadata_that_hubs_read(tmp_path: Path) -> None:
    table = tmp_path / "<b>.csv"
    table.write_text("text,label\nfine,good\nawful,bad\n")
    run = record_run(tmp_path, "model.preset=hf://google/vit", f"data.source=csv:{table}", losses=[1.0, 0.9])
    written = ModelCard.load(card.write(read_record(run)))
    assert (written.data.library_name, written.data.pipeline_tag) == ("keras", "text-classification")
    assert written.data.base_model == "google/vit"
    metrics = {each.metric_type: each.metric_value for each in written.data.eval_results}
    assert set(metrics) == {"loss", "accuracy"}
    assert table.name not in written.data.to_yaml()
    assert written.text.lstrip().startswith("# ")
    of_hub = record_run(tmp_path / "hub", "data.source=hf:owner/reviews/small@main?stars=5")
    header = ModelCard.load(card.write(read_record(of_hub))).data
    assert header.datasets == ["owner/reviews"]
    [accuracy] = [each for each in header.eval_results if each.metric_type == "accuracy"]
    assert (accuracy.dataset_type, accuracy.metric_value) == ("owner/reviews", 0.8)
    assert accuracy.metric_name == "accuracy (95% interval 71.12% to 86.66%)"


def test_a_bad_result_is_called_so_on_the_page_and_the_card(tmp_path: Path) -> None:
    run = record_run(tmp_path, losses=[1.0, 1.9e8])
    page_file = single.write(read_record(run))
    warning = "the test loss is 1.9e+08, above the 0.6931 of a model that gives all 2 classes the same probability"
    for file in (page_file, run.folder / card.FILE):
        text = file.read_text("utf-8")
        assert f"Warning: {warning}" in text
    assert "always &#x27;bad&#x27;: 50.0%" in page_file.read_text("utf-8")
    constant = "- A constant answer, always 'bad': accuracy 50.00%, macro F1 0.3333"
    assert constant in (run.folder / card.FILE).read_text("utf-8")


def test_notes_of_a_run_stand_in_its_result_narration_and_report(tmp_path: Path) -> None:
    one = record_run(tmp_path)
    log = EventLog(one.events_file)
    with NoteHandler(log):
        logging.getLogger("ftapp.freezing.feature_store").warning(
            "cached features of %s examples are damaged <b>", "1,437"
        )
        logging.getLogger("ftapp.freezing.feature_store").info("nothing to say")
    logging.getLogger("ftapp.freezing.feature_store").warning("after the run")
    history = History.of_file(one.events_file)
    assert history.summary()["notes"] == ["cached features of 1,437 examples are damaged <b>"]
    assert narration.narrate(history.notes[0]) == history.summary()["notes"]
    assert history.notes[0] in history.happened()
    path = single.write(read_record(one))
    assert "Note: cached features of 1,437 examples are damaged <b>" in checked(path)
    assert "damaged &lt;b&gt;" in path.read_text("utf-8")


def test_the_step_of_the_best_weights_stands_in_report_card_and_comparison(tmp_path: Path) -> None:
    one = record_run(tmp_path)
    log = EventLog(one.events_file)
    log.write(BestRestored(time=9, step=6, best_step=4, metric="accuracy", value=0.85))
    log.write(ModelSaved(time=9, folder="model", step=4))
    text = checked(single.write(read_record(one)))
    assert "Weights of step4of 6 steps; best held-out accuracy, 0.8500" in text
    # Of step 4 the drift was not measured, but of step 1 before it.
    assert "pooled_dense0.0100" in text
    written = (one.folder / card.FILE).read_text("utf-8")
    assert "- The weights are those of step 4 of 6: best held-out accuracy, 0.8500" in written
    other = record_run(tmp_path)
    assert ["weights of step", "4", ""] in comparison.list_metrics(read_arms([one, other]))


def test_a_segment_without_steps_has_no_proof_in_the_report(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    history = run.history()
    phase = history.ended_phases[0].phase
    for steps in (0, 2):
        proof = SegmentProof(steps=steps, frozen=0, digest="", moved=0, still=["classifier/kernel"])
        history.apply(
            LayersChanged(time=2, phase=phase, step=steps, rules=[], trainable=1, trainable_layers=[], proof=proof)
        )
    sentence = pieces.describe_phase_proofs(history)
    assert sum("up to step" in each for each in sentence) == 1
    assert any(each.startswith(f"{phase}, up to step 2") for each in sentence)


def test_report_shows_what_answers_rest_on(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    picture = thumbnails.encode_small(np.full((8, 6, 3), 200, np.uint8))
    pictured = ExampleResult(example="7.png", loss=5.0, truth="3", answer="8", right=False, picture=picture)
    write_examples(made, pictured, *FOUND)
    words = (ShadedWord("=never", 0.6), ShadedWord(" <b>again</b>", -0.4), ShadedWord(" unread", None))
    text = Explanation(label="bad", score=0.9857, method="integrated gradients", words=words)
    image = Explanation(label="8", score=0.9, method="Grad-CAM", picture=picture, overlay=picture + b"map")
    result = made.history().result
    assert result is not None
    write_explanations(made, result, {"row 7": text, "7.png": image})
    page = single.write(read_record(made)).read_text("utf-8")
    assert "speaks for bad" in page
    assert re.search(r'<span title="\+60.0%" style="background:color-mix[^"]* 55%, transparent\)">=never</span>', page)
    assert re.search(r'<span title="-40.0%" style="[^"]*--tone-0[^"]*">&lt;b&gt;again&lt;/b&gt;</span>', page)
    assert '<span class="soft">unread</span>' in page
    assert base64.b64encode(image.overlay).decode() in page
    assert page.count("data:image/webp") == 2
    # Those of an earlier result are of other weights.
    write_explanations(made, msgspec.structs.replace(result, step=result.step + 1), {"row 7": text})
    assert read_explanations(made, result) == {}
    assert "speaks for bad" not in single.write(read_record(made)).read_text("utf-8")
    # A damaged line is left out, and so is a damaged file.
    write_explanations(made, result, {"row 7": text})
    file = made.folder / "explanations.jsonl"
    file.write_bytes(file.read_bytes() + b'{"example": "row 3", "explanation": {}}\n')
    assert list(read_explanations(made, result)) == ["row 7"]
    file.write_bytes(b"\x00")
    assert read_explanations(made, result) == {}


def test_report_shows_the_test_examples_with_the_highest_loss(tmp_path: Path) -> None:
    made = record_run(tmp_path)
    picture = thumbnails.encode_small(np.full((8, 6, 3), 200, np.uint8))
    pictured = ExampleResult(example="3/<7>.png", loss=1.5, truth="3", answer="8", right=False, picture=picture)
    long = ExampleResult(example="row 9", loss=0.0625, text="x" * 150)
    write_examples(made, pictured, *FOUND, long)
    text = checked(single.write(read_record(made)))
    assert "The 4 of 100 examples of the test split with the highest loss." in text
    for words in ("'3' taken for '8'", "loss 1.5000", "3/<7>.png", "'good' taken for 'bad' (98.6%)", "row 7"):
        assert words in text
    assert "=never <b>again</b>" in text
    assert "x" * 100 + "…" in text
    assert "x" * 101 not in text
    file = made.folder / "report.html"
    assert 'src="data:image/webp;base64,UklGR' in file.read_text("utf-8")

    def report(*arguments: str) -> str:
        result = CliRunner().invoke(app.app, ["report", str(made.folder), *arguments])
        return result.stderr if result.exit_code else file.read_text("utf-8")

    assert "row 7" not in report("--examples", "1")
    assert "highest loss" not in report("--examples", "0")
    assert "--examples is for the report of one run" in report(str(made.folder), "--examples", "3")
