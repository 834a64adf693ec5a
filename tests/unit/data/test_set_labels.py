"""Sets of classes from a column of names and from yes-no columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data.examples import describe_set
from tests.unit.data.test_texts import spec

CELLS = ["red;big", "big", "red", "", "blue;red;red", " blue ; big "] * 6


def write(path: Path, cells: list[str], separator: str = ",") -> Path:
    rows = "".join(f'text {at}{separator}"{cell}"\n' for at, cell in enumerate(cells))
    path.write_text(f"text{separator}label\n{rows}")
    return path


def load(path: Path, **keys: object) -> data.Splits:
    return data.load(spec(f"{path.suffix[1:]}:{path}", **keys), "text-multi-label", 0)


def refused(path: Path, **keys: object) -> str:
    with pytest.raises(RecipeError) as error:
        load(path, **keys)
    return str(error.value)


def test_names_are_parted_by_the_separator(tmp_path: Path) -> None:
    splits = load(write(tmp_path / "a.csv", CELLS), label_separator=";")
    labels = splits.train.examples.labels
    assert splits.classes == ("big", "blue", "red")
    assert labels.dtype == bool
    assert labels[:6].astype(int).tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 0]]
    assert any("on average; 6 examples without any" in note for note in splits.notes)


def test_counts_are_of_examples_with_a_class(tmp_path: Path) -> None:
    splits = load(write(tmp_path / "a.csv", CELLS), label_separator=";")
    totals = np.sum([splits.counts[name] for name in ("train", "validation", "test")], axis=0)
    assert totals.tolist() == [18, 12, 18]


def test_a_wrong_separator_is_named(tmp_path: Path) -> None:
    message = refused(write(tmp_path / "a.csv", CELLS))
    assert "no cell has ',' between labels" in message
    assert "--set 'data.label_separator=;'" in message


@pytest.mark.parametrize("form", ["['red', 'big']", '["red", "big"]'])
def test_lists_as_python_and_json_write_them_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.csv"
    quoted = form.replace('"', '""')
    path.write_text("text,label\n" + "".join(f'text {at},"{quoted if at % 2 else "[]"}"\n' for at in range(20)))
    splits = load(path)
    assert splits.classes == ("big", "red")
    assert splits.train.examples.labels.sum(axis=0).tolist() == [10, 10]


def test_lists_of_json_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    sets = [["a", 1], [1], ["a"], [], None]
    path.write_text("".join(json.dumps({"text": f"t{at}", "label": sets[at % 5]}) + "\n" for at in range(30)))
    splits = load(path)
    assert splits.classes == ("1", "a")
    assert splits.train.examples.labels[:5].astype(int).tolist() == [[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]]


def test_a_nested_label_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": f"t{at}", "label": [["a"]]}) + "\n" for at in range(3)))
    assert "is no label; the labels of an example are names or whole numbers" in refused(path)


def test_yes_no_columns_are_classes_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = ["1,0,yes", "0,1,no", "TRUE,1.0,x", "false,0,NO"] * 6
    path.write_text("text,b,a,c\n" + "".join(f"t{at},{row}\n" for at, row in enumerate(rows)))
    splits = load(path, label_columns=["b", "a", "c"])
    assert splits.classes == ("b", "a", "c")
    assert splits.train.examples.labels[:4].astype(int).tolist() == [[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]]


def test_other_values_of_yes_no_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,a,b\n" + "".join(f"t{at},{at % 2},-1\n" for at in range(10)))
    assert "the column 'b' has '-1'; it says 1 or 0, or yes or no, of each example" in refused(
        path, label_columns=["a", "b"]
    )


def test_empty_answers_are_refused_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,a,b\n" + "".join(f"t{at},{at % 2},{at // 2 % 2}\n" for at in range(20)) + "last,,1\n")
    assert "row 22: the column 'a' is empty" in refused(path, label_columns=["a", "b"])
    splits = load(path, label_columns=["a", "b"], skip_incomplete=True)
    assert "1 row left out: no text or no label in it" in splits.notes


def test_a_missing_label_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,toxic,insult\n" + "".join(f"t{at},{at % 2},0\n" for at in range(10)))
    message = refused(path, label_columns=["toxic", "insults"])
    assert "data.label_columns: there is no column 'insults'" in message
    assert "did you mean 'insult'?" in message


def test_a_class_in_too_few_examples_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [*CELLS, "rare;red"])
    assert "'rare' has 1" in refused(path, label_separator=";")


def test_each_split_has_rare_classes(tmp_path: Path) -> None:
    cells = [f"common{';rare' if at % 20 == 0 else ''}" for at in range(400)] + ["other"] * 100
    splits = load(write(tmp_path / "a.csv", cells), label_separator=";", validation=0.1, test=0.2)
    rare = splits.classes.index("rare")
    assert [splits.counts[name][rare] for name in ("train", "validation", "test")] == [14, 2, 4]


def test_words_for_a_missing_label_are_refused_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [*CELLS, "None"])
    assert "row 38: 'None' stands for a missing label" in refused(path, label_separator=";")
    splits = load(path, label_separator=";", skip_incomplete=True)
    assert splits.classes == ("big", "blue", "red")
    assert "1 row left out: no text or no label in it" in splits.notes
    columns = tmp_path / "b.csv"
    columns.write_text("text,none,b\n" + "".join(f"t{at},{at % 2},{at // 2 % 2}\n" for at in range(20)) + "z,nan,1\n")
    assert "the column 'none' has 'nan', which stands for no answer" in refused(columns, label_columns=["none", "b"])
    splits = load(columns, label_columns=["none", "b"], skip_incomplete=True)
    assert splits.classes == ("none", "b")
    assert "1 row left out: no text or no label in it" in splits.notes


def test_a_table_without_any_label_is_refused(tmp_path: Path) -> None:
    assert "no row has a label in the column 'label'" in refused(write(tmp_path / "a.csv", [""] * 20))


def test_whole_numbers_written_as_fractions_and_halves_of_characters_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    sets = [[1.0, "a\ud800"], [1], 1.0]
    path.write_text("".join(json.dumps({"text": f"t{at}", "label": sets[at % 3]}) + "\n" for at in range(30)))
    assert load(path).classes == ("1", "a\ufffd")


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is named twice"):
        spec("csv:a.csv", label_columns=["a", "b", "a"])


def test_names_with_commas_are_told_apart() -> None:
    names = ("a, b", "c", "no label")
    assert describe_set(np.array([True, True, False]), names) == "'a, b', c"
    assert describe_set(np.array([False, False, True]), names) == "'no label'"
    assert describe_set(np.array([False, False, False]), names) == "no label"
