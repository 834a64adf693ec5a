"""Tables of the command line: at any width a row stays a line, nothing overflows, and no word is broken."""

from __future__ import annotations

import io
import itertools
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pytest
from rich.cells import cell_len
from rich.console import Console

from ftapp.cli import run_result
from ftapp.common import tables
from ftapp.common.errors import RecipeError
from ftapp.common.tables import Column
from ftapp.runs import run_lookup
from tests.support.recorded_runs import record_run

COLUMNS = [
    Column("run", 0, least=24, is_name=True),
    Column("status", 0),
    Column("steps", 4, right=True),
    Column("accuracy", 1, right=True),
    Column("arms", 2, least=16),
    Column("empty", 0),
]
NAME = "20261128-130630-lesson-gpt2-targeted-freezing-quick-5865"
ROWS = [
    [NAME, "interrupted", "12,000", "0.9889", "vgg16-feature-extractor, vgg16-feature-extractor again", ""],
    ["20261128-130630-図書館-1234", "done", "4", "", "A full", ""],
]
WIDTHS = range(20, 301)


def heads(lines: Sequence[str]) -> list[str]:
    return lines[0].split()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_is_one_line_at_any_width(width: int) -> None:
    lines = tables.lay_out_lines(COLUMNS, ROWS, width)
    assert len(lines) == 2 + len(ROWS)
    assert max(map(cell_len, lines)) <= width
    assert lines[2].startswith("202")
    assert {"run", "status"} <= set(heads(lines))


def test_columns_are_dropped_in_their_order_and_names_shortened_last() -> None:
    at = {width: tables.lay_out_lines(COLUMNS, ROWS, width) for width in WIDTHS}
    assert heads(at[300]) == ["run", "status", "steps", "accuracy", "arms", "empty"]
    shown = [heads(at[width]) for width in reversed(WIDTHS)]
    gone = [name for before, after in itertools.pairwise(shown) for name in before if name not in after]
    assert gone == ["empty", "steps", "arms", "accuracy"]
    assert all(NAME in line for line in (at[300][2], at[110][2], at[80][2]))
    assert re.search(r"20261128\S+…\S+-5865  interrupted", at[60][2])


def test_text_is_shortened_at_the_end_of_a_word() -> None:
    assert tables.shorten_end("VGG16, features and linear SVM", 20) == "VGG16, features and…"
    assert tables.shorten_end("VGG16, features and linear SVM", 8) == "VGG16…"
    assert tables.shorten_end("図書館の図書館", 7) == "図書館…"
    assert tables.shorten_middle("vgg16-feature-extractor", 9) == "vgg1…ctor"
    assert [tables.shorten_middle("図書館の図書館", width) for width in (14, 7, 1)] == ["図書館の図書館", "図…館", "…"]


def test_a_table_in_a_pipe_is_whole() -> None:
    lines = tables.lay_out_lines(COLUMNS, ROWS, None)
    assert all(cell in line for row, line in zip(ROWS, lines[2:], strict=True) for cell in row)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_cells_are_wrapped_at_words_and_stand_below_each_other_where_columns_do_not_fit(width: int) -> None:
    layers = "freeze all, train attention & last:2"
    rows = [["phase.finetune.layers", layers, "freeze embeddings"], ["model.preset", "gpt2_base_en", ""]]
    lines = tables.wrap_rows(["recipe", "A targeted-freezing", "B frozen-embeddings"], rows, width)
    assert max(map(cell_len, lines)) <= width
    words = " ".join(lines).split()
    assert {"phase.finetune.layers", "embeddings", "attention", "targeted-freezing", "gpt2_base_en"} <= {
        word.rstrip(":") for word in words
    }
    assert any(line.startswith("─") for line in lines) is (width >= 60)


def test_a_word_wider_than_its_line_is_divided_behind_its_separators() -> None:
    path = "folder:/data/photographs/of-every-kind/and-sub_folder"
    assert tables.wrap(path, 28) == ["folder:/data/photographs/", "of-every-kind/and-sub_folder"]
    assert tables.wrap(f"  got {path}", 31) == ["  got folder:/data/photographs/", "  of-every-kind/and-sub_folder"]
    assert "".join(tables.wrap("x" * 70, 30)) == "x" * 70
    assert tables.wrap("phase.finetune.learning_rate", 16) == ["phase.finetune.", "learning_rate"]
    assert tables.wrap("", 30) == [""]


def test_hashes_are_short_on_a_terminal_and_whole_in_a_pipe() -> None:
    row = ["model.preset", "pypi://a.whl/b#sha256=" + "0123456789abcdef" * 4]
    assert "01234567…" in "\n".join(tables.wrap_rows(["", "A"], [row], 80))
    assert row[1] in "\n".join(tables.wrap_rows(["", "A"], [row], None))


def test_a_terminal_steered_by_a_cell_is_not() -> None:
    lines = tables.lay_out_lines([Column("run")], [["a\x1b[31m\nb"]], 40)
    assert lines[2] == "a␛[31m b"
    assert "\x1b" not in "".join(tables.wrap_rows(["a\x1b", "b"], [["[b]", "\x07"]], 40))


@pytest.mark.parametrize("width", [40, 80])
def test_runs_in_a_terminal_are_a_line_each(tmp_path: Path, width: int) -> None:
    first = record_run(tmp_path, name="bert-freeze-attention")
    record_run(tmp_path, name="bert-full", status="failed")
    arguments = ["-m", "ftapp.cli", "runs", "--runs-dir", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = pexpect.spawn(sys.executable, arguments, dimensions=(30, width), env=environment, timeout=60)
    process.expect(pexpect.EOF)
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in process.before.decode().splitlines() if line.strip()]
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if line.startswith("20")]
    assert len(rows) == 2
    assert sorted(line.split()[1] for line in rows) == ["done", "failed"]
    shown = next(line.split()[0] for line in rows if "done" in line)
    assert ("…" in shown) is (width == 40)
    assert run_lookup.find(shown, tmp_path).folder == first.folder


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_result_of_a_run_breaks_paths_behind_their_separators(width: int) -> None:
    folder = "/data/some-very-long-folder/20261128-145223-vgg16-feature-extractor-quick-1e87/model"
    outcome = {
        **{
            "recipe": "mine",
            "status": "done",
            "metrics": {"loss": 0.1},
            "int8_metrics": {},
            "constant": None,
            "baseline": None,
            "recall": {},
        },
        **{"classes": ["neg", "pos"], "counts": {"train": [3, 4]}, "phases": []},
        **{"steps": 3, "seconds": 2.0, "model": folder, "weights": None, "notes": [], "warnings": [], "samples": []},
        **{"data_notes": [" ".join(["word"] * 80)], "restored": [], "weights_step": 3},
    }
    console = Console(file=io.StringIO(), width=width)
    run_result.print_result(outcome, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    path = words[words.index("model") + 1 :]
    assert "".join(path) == folder
    assert all(part[-1] in "/-" for part in path[:-1])
    full = [line.count("word") for line in lines if "word" in line]
    assert len(set(full[:-1])) == 1  # each line is wrapped once, with as many words as fit into it


def test_a_shortened_name_that_fits_several_runs_is_refused(tmp_path: Path) -> None:
    record_run(tmp_path)
    record_run(tmp_path)
    with pytest.raises(RecipeError, match="2"):
        run_lookup.find("20…", tmp_path)
