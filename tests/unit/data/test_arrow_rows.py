"""Parquet and Arrow files as programs write them: the needed columns are read right, or refused with a way out."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import feather, parquet

from ftapp import data
from ftapp.data import arrow_rows
from ftapp.data.examples import DataProblems
from tests.unit.data.test_texts import problems, spec, texts

TEXTS = [f"review number {number}" for number in range(20)]
LABELS = ["good" if number % 2 else "bad" for number in range(20)]


def write(path: Path, **columns: Any) -> str:
    parquet.write_table(pyarrow.table({"text": TEXTS, "label": LABELS} | columns), path)
    return f"parquet:{path}"


def load(path: Path, keys: dict[str, Any] | None = None, **columns: Any) -> data.Splits:
    return data.load(spec(write(path, **columns), **(keys or {})), "text-classification", 0)


def test_a_parquet_file_gives_the_rows_of_a_table(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.parquet")
    assert texts(splits) == dict(zip(TEXTS, LABELS, strict=True))
    assert splits.classes == ("bad", "good")
    assert splits.train.examples.locate(6) == "row 7"


@pytest.mark.parametrize(
    "columns",
    [
        {"text": pyarrow.array(TEXTS, pyarrow.large_string())},
        {"text": pyarrow.array(TEXTS, pyarrow.string_view())},
        {"text": [text.encode() for text in TEXTS]},
        {"text": pyarrow.array(TEXTS).dictionary_encode(), "label": pyarrow.array(LABELS).dictionary_encode()},
    ],
)
def test_each_type_of_text_gives_the_same_rows(tmp_path: Path, columns: dict[str, Any]) -> None:
    assert texts(load(tmp_path / "a.parquet", **columns)) == dict(zip(TEXTS, LABELS, strict=True))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pyarrow.array([number % 3 for number in range(20)], pyarrow.uint8()), ("0", "1", "2")),
        ([number % 2 == 0 for number in range(20)], ("false", "true")),
        ([float(number % 2) for number in range(20)], ("0", "1")),
        (pyarrow.array([float(number % 2) for number in range(20)], pyarrow.float16()), ("0", "1")),
        ([Decimal(number % 2).quantize(Decimal("1.00")) for number in range(20)], ("0", "1")),
    ],
)
def test_whole_numbers_and_truth_values_are_labels(tmp_path: Path, labels: Any, classes: tuple[str, ...]) -> None:
    assert load(tmp_path / "a.parquet", label=labels).classes == classes


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [["a"]] * 20}, "rows 1, 2, 3 and 17 more: the text is a list; each text is a string"),
        ({"text": [{"en": "a"}] * 20}, "the text is an object; each text is a string"),
        ({"text": list(range(20))}, "the text is a number; each text is a string"),
        ({"text": [None, *TEXTS[1:]]}, "row 1: there is no text; each example has a text"),
        ({"text": pyarrow.nulls(20)}, "rows 1, 2, 3 and 17 more: there is no text"),
        ({"label": [None, *LABELS[1:]]}, "row 1: the label is missing; to leave these rows out"),
        ({"label": [Decimal("0.5")] * 20}, "the label is a fraction, such as 0.5; each example has one label"),
        ({"label": [["a", "b"]] * 20}, "the label is a list, such as ['a', 'b']"),
        ({"label": [{"a": 1}] * 20}, "the label is an object, such as {'a': 1}"),
    ],
)
def test_columns_of_other_types_are_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    assert message in problems(write(tmp_path / "a.parquet", **columns))[0]


def test_a_missing_column_is_named_with_the_likely_one(tmp_path: Path) -> None:
    table = pyarrow.table({"body": TEXTS, "stars": [number % 2 for number in range(20)], "tokens": [[1]] * 20})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert problems(f"parquet:{tmp_path}/a.parquet") == [
        f"{tmp_path}/a.parquet: data.text_column: there is no column 'text'; the columns are 'body', 'stars', "
        "'tokens'; --set data.text_column=body",
        f"{tmp_path}/a.parquet: data.label_column: there is no column 'label'; the columns are 'body', 'stars', "
        "'tokens'; --set data.label_column=stars",
    ]


def test_filters_splits_and_groups_are_columns_too(tmp_path: Path) -> None:
    day = [datetime.date(2026, 1, 1 + number // 5) for number in range(20)]
    part = pyarrow.array(["train"] * 12 + ["test"] * 8).dictionary_encode()
    source = write(tmp_path / "a.parquet", day=day, part=part, lang=[1] * 18 + [2, 2])
    splits = data.load(spec(f"{source}?lang=1", split_column="part"), "text-classification", 0)
    assert len(splits.test) == 6
    assert "splits by the column 'part': train 12, validation 0, test 6" in splits.notes
    grouped = data.load(spec(source, group_column="day"), "text-classification", 0)
    assert any(note.startswith("no group is in two splits") for note in grouped.notes)


def test_names_of_classes_come_from_the_file(tmp_path: Path) -> None:
    features = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}}
    info = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pyarrow.table({"text": TEXTS, "label": [number % 2 for number in range(20)]}).replace_schema_metadata(info)
    parquet.write_table(table, tmp_path / "a.parquet")
    source = f"parquet:{tmp_path}/a.parquet"
    splits = data.load(spec(source), "text-classification", 0)
    assert splits.classes == ("negative", "positive")
    assert splits.notes == ("the file names the classes: negative, positive",)
    named = data.load(spec(source, classes=["bad", "good"]), "text-classification", 0)
    assert named.classes == ("bad", "good")
    unlabelled = pyarrow.table({"text": TEXTS, "label": [-1] * 20}).replace_schema_metadata(info)
    parquet.write_table(unlabelled, tmp_path / "a.parquet")
    assert "the label is missing" in problems(source)[0]


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    write(whole)
    content = whole.read_bytes()
    path = tmp_path / "a.parquet"
    for wrong, message in (
        (b"", "this file is empty"),
        (content[:-20], "this file cannot be read, it is damaged"),
        (content[:4] + bytes(len(content) - 4), "this file cannot be read, it is damaged"),
        (b"PARE" + content[4:], "this Parquet file is encrypted"),
        (b"text,label\na,b\n", f"this is text and no Parquet or Arrow file; --set data.source=csv:{path}"),
        (b'{"text": "a"}\n', f"this is text and no Parquet or Arrow file; --set data.source=jsonl:{path}"),
        (bytes(99), "this is no Parquet or Arrow file by its first bytes"),
    ):
        path.write_bytes(wrong)
        assert message in problems(f"parquet:{path}")[0]
    parquet.write_table(pyarrow.table({"text": TEXTS[:0], "label": LABELS[:0]}), path)
    assert problems(f"parquet:{path}") == [f"{path}: data.source: this table has no rows; it has one for each example"]


def test_only_needed_columns_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.parquet", pixels=[bytes(1000)] * 20)
    monkeypatch.setattr(arrow_rows, "_BATCH", 7)
    needed = {"text": "data.text_column", "label": "data.label_column"}
    rows = list(arrow_rows.read(tmp_path / "a.parquet", needed, DataProblems(), [], names_classes=True))
    assert rows[19] == ("row 20", {"text": TEXTS[19], "label": LABELS[19]})
    assert len(rows) == 20


def test_random_damage_ends_in_a_refusal(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for place in range(4, len(content), max(1, len(content) // 60)):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        (tmp_path / "a.parquet").write_bytes(damaged)
        findings = DataProblems()
        rows = arrow_rows.read(tmp_path / "a.parquet", {"text": "data.text_column"}, findings, [], names_classes=True)
        assert len(list(rows)) == 20 or findings.found


@pytest.mark.parametrize("form", ["file", "stream", "feather"])
def test_arrow_files_of_each_form_are_read(tmp_path: Path, form: str) -> None:
    table = pyarrow.table({"text": TEXTS, "label": LABELS, "pixels": [[1]] * 20})
    path = tmp_path / "a.arrow"
    if form == "feather":
        feather.write_feather(table, path)
    else:
        make = pyarrow.ipc.new_file if form == "file" else pyarrow.ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    assert texts(data.load(spec(f"arrow:{path}"), "text-classification", 0)) == dict(zip(TEXTS, LABELS, strict=True))
    assert (
        "there is no column 'body'; the columns are 'text', 'label', 'pixels'"
        in (problems(f"arrow:{path}", text_column="body")[0])
    )
    assert f"this is an Arrow file, not text; --set data.source=arrow:{path}" in problems(f"csv:{path}")[0]
    path.write_bytes(path.read_bytes()[:300])
    assert "this file cannot be read, it is damaged" in problems(f"arrow:{path}")[0]


def test_a_folder_that_datasets_saved_is_read_with_its_splits(tmp_path: Path) -> None:
    for part, rows in (("train", slice(0, 14)), ("test", slice(14, 20))):
        table = pyarrow.table({"text": TEXTS[rows], "label": LABELS[rows]})
        (tmp_path / part).mkdir()
        for name in ("data-00000-of-00001.arrow", "cache-1c80317fa3b1799d.arrow"):
            with pyarrow.ipc.new_stream(tmp_path / part / name, table.schema) as writer:
                writer.write_table(table)
        (tmp_path / part / "state.json").write_text("{}")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    splits = data.load(spec(f"arrow:{tmp_path}"), "text-classification", 0)
    assert {splits.test[at] for at in range(len(splits.test))} == set(TEXTS[14:])
    assert splits.duplicates == 0


def test_lists_of_classes_are_named_by_the_file(tmp_path: Path) -> None:
    features = {"label": {"feature": {"names": ["joy", "fear"], "_type": "ClassLabel"}, "_type": "Sequence"}}
    info = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pyarrow.table({"text": TEXTS, "label": [[0], [1, 0]] * 10}).replace_schema_metadata(info)
    parquet.write_table(table, tmp_path / "a.parquet")
    splits = data.load(spec(f"parquet:{tmp_path}/a.parquet"), "text-multi-label", 0)
    assert splits.classes == ("fear", "joy")
    assert splits.train.examples.labels[:2].tolist() == [[False, True], [True, True]]
