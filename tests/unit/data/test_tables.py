"""CSV and JSON lines as programs and people write them: each is read right, or refused with a way out."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.recipe import Data
from tests.unit.data.test_texts import problems, spec, texts

ROWS = [(f"review, number {number}: it isn't bad", "pos" if number % 2 else "neg") for number in range(20)]


def written(header: tuple[str, ...] = ("text", "label"), rows: Any = ROWS, **how: Any) -> str:
    file = io.StringIO()
    writer = csv.writer(file, **how)
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


PLAIN = written()


def load(path: Path, content: bytes | str, **keys: Any) -> data.Splits:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    scheme = "jsonl" if path.suffix in (".json", ".jsonl") else "csv"
    return data.load(spec(f"{scheme}:{path}", **keys), "text-classification", 0)


def refused(path: Path, content: bytes | str, **keys: Any) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    scheme = "jsonl" if path.suffix in (".json", ".jsonl") else "csv"
    return problems(f"{scheme}:{path}", **keys)[0].removeprefix(f"{path}: ")


def zipped(**members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def zstandard(content: bytes) -> bytes:
    compressed: bytes = pyarrow.compress(content, "zstd", asbytes=True)
    return compressed


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (PLAIN, ""),
        (PLAIN.encode("utf-8-sig"), ""),
        (PLAIN.encode("utf-16"), ""),
        (PLAIN.encode("utf-32"), ""),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), ""),
        (gzip.compress(PLAIN.encode()), ""),
        (bz2.compress(PLAIN.encode()), ""),
        (lzma.compress(PLAIN.encode()), ""),
        (zstandard(PLAIN.encode()), ""),
        (zstandard(PLAIN[:99].encode()) + zstandard(PLAIN[99:].encode()), ""),
        (PLAIN.encode("utf-16-le"), "read as utf-16-le, since it is not UTF-8"),
        (PLAIN.encode("utf-16-be"), "read as utf-16-be, since it is not UTF-8"),
        (zipped(**{"reviews.csv": PLAIN, "__MACOSX/._reviews.csv": "x"}), ""),
        (written(delimiter=";"), "read with semicolons between fields"),
        (written(delimiter="\t"), "read with tabs between fields"),
        (b"\xef\xbb\xbf" + written(delimiter="\t").encode(), "read with tabs between fields"),
        (written(delimiter="|"), "read with bars between fields"),
        (written(delimiter=";", rows=[(f"{text}; yes", label) for text, label in ROWS]), "read with semicolons"),
        ("sep=;\r\n" + written(delimiter=";"), "read with semicolons between fields"),
        ("sep=^\n" + written(delimiter="^"), "read with '^' between fields"),
        ("sep=,\n" + PLAIN, ""),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + PLAIN.encode(), ""),
        (gzip.compress(gzip.compress(PLAIN.encode())), ""),
        (written(lineterminator="\r"), ""),
        (written(lineterminator="\n") + "\n\n,\n , \n", "2 empty rows left out"),
        (written(quotechar="'", quoting=csv.QUOTE_ALL), "read with single quotes around them"),
        (written(header=("", "text", "label"), rows=[(at, *row) for at, row in enumerate(ROWS)]), ""),
        (written(header=("text", "label", ""), rows=[(*row, "") for row in ROWS]), ""),
        (written(rows=[(*row, "", "") for row in ROWS]), ""),
        (
            written(rows=[(text, f" {label} ") for text, label in ROWS], quoting=csv.QUOTE_ALL).replace('","', '", "'),
            "",
        ),
    ],
)
def test_each_way_of_writing_gives_the_same_rows(tmp_path: Path, content: bytes | str, note: str) -> None:
    splits = load(tmp_path / "reviews.csv", content)
    found = {text.removesuffix("; yes"): label for text, label in texts(splits).items() if isinstance(text, str)}
    assert found == dict(ROWS)
    assert splits.classes == ("neg", "pos")
    assert [each[: len(note)] for each in splits.notes] == ([note] if note else [])


def test_quotes_in_fields_doubled_or_behind_backslashes(tmp_path: Path) -> None:
    rows = [(f'he said "no", "{number}" \\ or\nnot', label) for number, (_, label) in enumerate(ROWS)]
    assert texts(load(tmp_path / "a.csv", written(rows=rows))) == dict(rows)
    how: dict[str, Any] = {"escapechar": "\\", "doublequote": False, "quoting": csv.QUOTE_ALL}
    splits = load(tmp_path / "b.csv", written(rows=rows, **how))
    assert texts(splits) == dict(rows)
    assert splits.notes == ("read with backslashes before quotes",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1" + bytes(200), "a Parquet file, not text; --set data.source=parquet:"),
        (b"FEA1" + bytes(200), 'a Feather file, not text; python -c "import pandas; pandas.read_feather'),
        (b"%PDF-1.7\n" + bytes(90), "a PDF document, not text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), "an old Excel or Word document, not text; save it as CSV"),
        (zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "an Excel workbook, not text; save it as CSV"),
        (zipped(mimetype="application/vnd.oasis"), "an OpenDocument file, not text"),
        (zipped(**{"a.csv": PLAIN, "b.csv": PLAIN}), "it holds 2 files (a.csv, b.csv); unpack it and name one of them"),
        (gzip.compress(PLAIN.encode())[:-12], "this file is compressed, and cannot be unpacked"),
        (zstandard(PLAIN.encode())[:-12], "this file is compressed, and cannot be unpacked"),
        (b"\x28\xb5\x2f\xfd" + bytes(90), "this file is compressed, and cannot be unpacked"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>404</html>", "this is a web page, not a table"),
        (bytes(range(7)) * 900, "this is binary data, 14% of it zero bytes"),
        (random.Random(1).randbytes(3000), "this is binary data, full of control characters, and no text"),
        (PLAIN.encode() + random.Random(2).randbytes(900), "this is binary data, full of control characters"),
        (bytes(range(1, 128)) * 9, "this is binary data, full of control characters"),
        (PLAIN.encode("utf-16") + b"x", "byte 1,"),
        (PLAIN.replace("number", "żółć się").encode("cp1250"), "this may be cp1252"),
        (PLAIN.replace("number", "café").encode() + b"caf\xe9,pos\n", "this may be cp1252"),
        (PLAIN.replace("number", "café").encode("mac_roman"), "this may be cp1252"),
        (PLAIN.replace("number", "хорошее кино").encode("cp1251"), "this may be cp1251"),
        (PLAIN.replace("number", "とても良い映画のひとつ").encode("shift_jis"), "this may be shift_jis"),
        (" \n\n", "this file is empty"),
        ("text,label\n", "this table has no rows"),
        ("Results of 2024,\n\n" + PLAIN, "the names of the columns are in line 3, below others; "),
        ("# exported\n" + PLAIN, "tail -n +2 reviews.csv leaves the lines above out"),
        (
            written(delimiter=":"),
            "':' stands between fields, which is read only below a first line sep=:",
        ),
        (PLAIN.removeprefix("text,label\r\n"), "the first row looks like an example ('review, number 0: it isn't bad'"),
        (PLAIN.replace("text,", "Text,"), "the columns are 'Text', 'label'; --set data.text_column=Text"),
        (PLAIN.replace("text,label", "review,sentiment"), "--set data.text_column=review"),
        (written(("text", "label", "label"), [(*row, "x") for row in ROWS]), "2 columns are named 'label'"),
        (json.dumps([{"text": "a", "label": "b"}]), "this is JSON, not CSV; --set data.source=jsonl:"),
        (PLAIN + 'a,"b\n', 'row 22: line 22: the quote " that opens a field is not closed'),
        (PLAIN + "a,b,c\n", "row 22: 3 fields, and the header has 2"),
        (PLAIN + "a\n", "row 22: 1 field, and the header has 2"),
        (PLAIN + ",pos\n" * 2, "rows 22, 23: the text is empty"),
        (PLAIN + "NaN,pos\n", "row 22: 'NaN' stands for a missing text"),
        (PLAIN + "a,nan\nb,NA\n", "row 22: 'nan' stands for a missing label"),
        (PLAIN + "a,Pos\n", "'pos' (10) and 'Pos' (1) differ only in letter case"),
    ],
)
def test_what_cannot_be_read_is_named_with_a_way_out(tmp_path: Path, content: bytes | str, message: str) -> None:
    assert message in refused(tmp_path / "reviews.csv", content)


def test_other_encodings_are_read_when_named(tmp_path: Path) -> None:
    rows = [(text.replace("number", "café – 5 €"), label) for text, label in ROWS]
    content = written(rows=rows, delimiter=";").encode("cp1252")  # as Excel writes it in much of Europe
    assert texts(load(tmp_path / "excel.csv", content, encoding="cp1252")) == dict(rows)
    with pytest.raises(ValueError, match="there is no encoding 'cp125'; did you mean 'cp1252'"):
        spec("sklearn:digits", encoding="cp125")


@pytest.mark.parametrize("content", [
    "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS),
    "\r".join(json.dumps({"text": text, "label": label}) for text, label in ROWS),
    json.dumps([{"text": text, "label": label} for text, label in ROWS], indent=1),
])  # fmt: skip
def test_json_lines_and_lists(tmp_path: Path, content: str) -> None:
    assert texts(load(tmp_path / "a.jsonl", content)) == dict(ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLAIN, "this file begins with 'text,label', which is no JSON; --set data.source=csv:"),
        (json.dumps({"data": [{"text": "a"}]}), "a list of examples under 'data'; "),
        (json.dumps({"text": "a", "label": "b"}, indent=1) * 3, "an object is written over several lines"),
        ('[{"text": "a", "label": "b"},', "this list in JSON cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        (f'{{"text": "a", "label": {"1" * 6000}}}\n', "it holds a number of thousands of digits, which is not read"),
        ('{"text": "a", "label": "b", "label": "c"}', "line 1: the object names 'label' twice"),
        ('{"text": "a", "label": ["b"]}\n' * 4, "the label is a list, such as ['b']; each example has one label"),
        ('{"text": "a", "label": NaN}\n', "line 1: the label is missing"),
        ('{"text": 5, "label": "b"}\n', "line 1: the text is a number; each text is a string"),
    ],
)
def test_what_is_wrong_with_json(tmp_path: Path, content: str, message: str) -> None:
    assert message in refused(tmp_path / "a.jsonl", content)


def test_whole_floats_and_halves_of_characters_in_json(tmp_path: Path) -> None:
    rows = [{"text": f"text {number} \ud83d", "label": number % 2 * 1.0} for number in range(20)]
    splits = load(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert splits.classes == ("0", "1")
    assert splits.notes == ("20 texts with half of a character; \ufffd stands in its place",)
    assert all(str(text).endswith(" \ufffd") for text in texts(splits))


def test_rows_without_text_or_label_are_left_out_on_demand(tmp_path: Path) -> None:
    content = PLAIN + "a,nan\nb,\n,pos\nNaN,neg\n"
    splits = load(tmp_path / "a.csv", content, skip_incomplete=True)
    assert texts(splits) == dict(ROWS)
    assert splits.notes == ("4 rows left out: no text or no label in them",)
    named = load(tmp_path / "a.csv", PLAIN + "a,nan\nb,nan\n", classes=["neg", "pos", "nan"], skip_incomplete=True)
    assert sum(part.class_counts[2] for part in (named.train, named.validation, named.test)) == 2


def test_true_and_1_in_json_mean_the_same_and_numbers_in_quotes_are_numbers(tmp_path: Path) -> None:
    mixed = [True, 1, "1", False, 0, "0"]
    rows = "\n".join(json.dumps({"text": f"text {at}", "label": mixed[at % 6]}) for at in range(60))
    message = refused(tmp_path / "a.jsonl", rows)
    assert message.startswith(
        "data.label_column: '1' (20) and 'true' (10) mean the same; labels that mean the same are"
    )
    assert load(tmp_path / "a.jsonl", rows, merge_labels=True).classes == ("0", "1")
    assert load(tmp_path / "a.jsonl", rows, classes=["0", "1", "true", "false"]).classes == ("0", "1", "true", "false")


def test_labels_that_look_alike_are_merged_on_demand(tmp_path: Path) -> None:
    splits = load(tmp_path / "a.csv", PLAIN + "a,Pos\nb,'pos'\n", merge_labels=True)
    assert splits.classes == ("neg", "pos")
    assert splits.counts["train"][1] + splits.counts["validation"][1] + splits.counts["test"][1] == 12
    assert splits.notes == ("labels merged: 'Pos', ''pos'' as 'pos'",)


def test_how_numbers_were_read_as_classes_is_said(tmp_path: Path) -> None:
    stars = written(rows=[(text, 1 + number % 5) for number, (text, _) in enumerate(ROWS)])
    splits = load(tmp_path / "a.csv", stars, classes=["awful", "poor", "fair", "good", "great"])
    assert texts(splits)[ROWS[0][0]] == "awful"
    assert splits.notes == ("labels are numbers: 1 = awful, 2 = poor, 3 = fair, 4 = good, 5 = great",)
    message = refused(tmp_path / "a.csv", stars, classes=["awful", "poor", "fair", "good", "great", "best"])
    assert "the labels are '1', '2', '3', '4', '5', and data.classes has 6 other names" in message


def test_contradicting_rows_are_told_apart_from_duplicates(tmp_path: Path) -> None:
    contrary = [(text, "pos" if label == "neg" else "neg") for text, label in ROWS[:3]]
    table = written(rows=[*ROWS, *contrary, *ROWS[10:14]])
    assert refused(tmp_path / "a.csv", table).startswith(
        "data.conflicts: 6 examples contradict each other, equal ones with other labels: row 2 (neg) and row 22 (pos), "
        "row 3 (pos) and row 23 (neg), row 4 (neg) and row 24 (pos); equal examples have one label;"
    )
    splits = load(tmp_path / "a.csv", table, conflicts="drop")
    assert splits.duplicates == 4
    (note,) = splits.notes
    assert note.startswith("6 examples contradict each other")
    assert "row 2 (neg) and row 22 (pos), row 3 (pos) and row 23 (neg)" in note


@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "a pipe"), (os.mkdir, "a folder"), (lambda path: path.symlink_to("/dev/zero"), "a device")],
)
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    source = spec(f"csv:{path}")
    path.unlink()
    make(path)  # after the recipe was checked
    with pytest.raises(RecipeError, match=f"this is {kind}; examples are read from a file"):
        data.load(source, "text-classification", 0)


@pytest.mark.parametrize("scheme", ["csv", "jsonl"])
def test_only_a_refusal_comes_out_of_random_files(tmp_path: Path, scheme: str) -> None:
    """Random bytes, and readable files with random damage: a result or RecipeError, nothing else."""
    dice = random.Random(5)
    lines = "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS).encode()
    valid = [PLAIN.encode(), lines, written(delimiter=";").encode("utf-16"), gzip.compress(lines)]
    pieces = [b'"', b"\\", b"\n", b"\r", b"\0", b",", b";", b"{", b"[", b"\xff", b"\xed\xa0\x80", b"nan", b"1e999"]
    path = tmp_path / f"a.{scheme}"
    read = refusals = 0
    for turn in range(400):
        content = bytearray(dice.choice(valid) if turn % 4 else dice.randbytes(dice.randrange(200)))
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(content) + 1)
            content[at : at + dice.randrange(6)] = dice.choice(pieces)
        path.write_bytes(content)
        try:
            load = dice.random() < 0.5
            keys: dict[str, Any] = {"merge_labels": load, "skip_incomplete": load}
            data.load(Data(source=f"{scheme}:{path}", **keys), "text-classification", 0)
            read += 1
        except RecipeError:
            refusals += 1
    assert min(read, refusals) > 20


def test_texts_of_other_kinds_are_told_once(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": {"body": f"b{number}"}, "label": number % 2}) + "\n" for number in range(30))
    found = refused(tmp_path / "a.jsonl", rows)
    assert "lines 1, 2, 3 and 27 more: the text is an object; each text is a string" in found
    assert "more problem" not in found


def test_columns_inside_objects_are_found_and_numbers_are_no_texts(tmp_path: Path) -> None:
    rows = [{"id": 10**9 + number, "data": {"text": f"b{number}", "label": number % 2}} for number in range(30)]
    found = refused(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert "the objects under 'data' have one, and jq -c '.\"data\"' a.jsonl writes them a line each" in found
    assert "text_column=id" not in found


@pytest.mark.parametrize("form", ["2023-{:02}-{:02}", "2023/{}/{}", "{1}.{0}.2023", "2023-{:02}-{:02}T10:00:00"])
def test_dates_are_no_classes(tmp_path: Path, form: str) -> None:
    rows = [(f"text {at}", form.format(at % 12 + 1, at % 28 + 1)) for at in range(200)]
    assert "look like dates; classes are names" in refused(tmp_path / "a.csv", written(rows=rows))


def test_test_texts_known_but_for_case_and_spaces_are_told(tmp_path: Path) -> None:
    texts = [f"the good straße of film number {at}" for at in range(50)]
    rows = [(form, "ab"[len(text) % 2]) for text in texts for form in (text, f"  {text.upper()}".replace(" ", " \t"))]
    splits = load(tmp_path / "a.csv", written(rows=rows), test=0.2)
    folded = [[str(part[at]).split()[-1] for at in range(len(part))] for part in (splits.train, splits.test)]
    known = sum(text in set(folded[0]) for text in folded[1])
    assert known > 5
    assert f"{known} of 20 test texts differ from a training text only in letter case or spaces" in splits.notes


def rows_in(column: str, values: list[str]) -> str:
    return written(("text", "label", column), [(*row, value) for row, value in zip(ROWS, values, strict=True)])


def test_a_column_names_the_splits(tmp_path: Path) -> None:
    content = rows_in("part", ["Train"] * 12 + ["valid"] * 4 + ["TEST"] * 4)
    splits = load(tmp_path / "a.csv", content, split_column="part")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [12, 4, 4]
    assert {int(index) for index in splits.test.indices} == {16, 17, 18, 19}
    assert splits.notes == ("splits by the column 'part': train 12, validation 4, test 4",)
    everything = load(tmp_path / "a.csv", rows_in("part", ["train"] * 20), split_column="part")
    assert [len(part) for part in (everything.train, everything.validation, everything.test)] == [14, 2, 4]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["train"] * 19 + ["fold3"], "data.split_column: row 21: 'fold3' names no split; a split is train, validation"),
        (["train"] * 19 + [""], "data.split_column: row 21: there is no split; a split is train, validation or test"),
        (["test"] * 20, "data.split_column: no row of the column 'part' is for training; one names the split train"),
    ],
)
def test_values_that_name_no_split_are_refused(tmp_path: Path, values: list[str], said: str) -> None:
    assert said in refused(tmp_path / "a.csv", rows_in("part", values), split_column="part")


def test_a_column_names_groups_that_stay_together(tmp_path: Path) -> None:
    speakers = [f"speaker {number // 4}" for number in range(20)]
    splits = load(tmp_path / "a.csv", rows_in("speaker", speakers), group_column="speaker", validation=0.2)
    found = [
        {speakers[int(index)] for index in part.indices} for part in (splits.train, splits.validation, splits.test)
    ]
    assert [len(each) for each in found] == [3, 1, 1]
    assert len(set().union(*found)) == 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a"] * 20, "data.group_column: every group is 'a'; each row names its group, such as a patient or a speaker"),
        (["a", "b"] * 9 + ["a", ""], "data.group_column: row 21: there is no group; each row names its group"),
    ],
)
def test_groups_that_cannot_be_are_refused(tmp_path: Path, values: list[str], said: str) -> None:
    assert said in refused(tmp_path / "a.csv", rows_in("speaker", values), group_column="speaker")


@pytest.mark.parametrize("key", ["split_column", "group_column"])
def test_a_missing_column_of_splits_or_groups_is_named(tmp_path: Path, key: str) -> None:
    assert refused(tmp_path / "a.csv", rows_in("part", ["train"] * 20), **{key: "parts"}) == (
        f"data.{key}: there is no column 'parts'; the columns are 'text', 'label', 'part'; --set data.{key}=part"
    )


def test_a_language_model_has_whole_groups_in_its_splits(tmp_path: Path) -> None:
    tales = [f"Tale {number}. " + " ".join(f"word{number}x{at}" for at in range(30)) for number in range(24)]
    rows = [(tale, f"author {number // 4}") for number, tale in enumerate(tales)]
    path = tmp_path / "tales.csv"
    path.write_text(written(("text", "author"), rows), encoding="utf-8")
    made = data.load_documents(spec(f"csv:{path}", group_column="author", validation=0.2), 0)
    authors = [{tales.index(text) // 4 for text in part} for part in (made.train, made.validation, made.test)]
    assert sorted(map(len, authors)) == [1, 1, 4]
    assert len(set().union(*authors)) == 6
    path.write_text(written(("text", "author"), rows[:12]), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"12 texts are too few to be divided by groups; below 20, each is cut"):
        data.load_documents(spec(f"csv:{path}", group_column="author"), 0)
