"""Inputs of a prediction: files of all kinds are read row by row, and a damaged row comes with its problem."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from ftapp.common.errors import RecipeError
from ftapp.data.input_rows import Input, InputReader, InputRow

TEXTS = ["a fine film", "très bien", "with, comma", 'a "quoted" one']


def read(*paths: Path, kind: Any = "texts", column: str = "text", **options: Any) -> list[InputRow]:
    return list(InputReader([Input(path, path.name) for path in paths], kind, column, **options).read())


def write_csv(path: Path, delimiter: str = ",") -> None:
    lines = [delimiter.join(["id", "text"])]
    lines += [delimiter.join([str(at), '"' + text.replace('"', '""') + '"']) for at, text in enumerate(TEXTS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path: Path) -> None:
    rows = [{"id": at, "text": text} for at, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_list(path: Path) -> None:
    path.write_text(json.dumps([{"id": at, "text": text} for at, text in enumerate(TEXTS)], indent=1))


def write_parquet(path: Path) -> None:
    parquet.write_table(pyarrow.table({"id": range(len(TEXTS)), "text": TEXTS}), path)


def zipped(*names: str) -> bytes:
    """Make a ZIP archive of empty files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return content.getvalue()


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": write_csv,
    "a.tsv": lambda path: write_csv(path, "\t"),
    "semicolons.csv": lambda path: write_csv(path, ";"),
    "a.jsonl": write_json,
    "list.json": write_list,
    "a.parquet": write_parquet,
    "misnamed.csv": write_parquet,
    "a.txt": lambda path: path.write_text("\n".join(TEXTS), encoding="utf-8"),
    "utf16.txt": lambda path: path.write_text("\n".join(TEXTS), encoding="utf-16"),
    "western.txt": lambda path: path.write_text("\r\n".join(TEXTS * 9), encoding="cp1252"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_texts_come_from_tables_and_from_lines(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    rows = read(tmp_path / name)
    assert [row.content for row in rows][: len(TEXTS)] == TEXTS
    assert not any(row.problem for row in rows)
    if "txt" not in name:
        kept = [row.kept for row in read(tmp_path / name, keeps=["id"])]
        assert [str(each[0]) for each in kept] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_files_are_unpacked_as_they_are_read(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv.gz").write_bytes(pack((tmp_path / "a.csv").read_bytes()))
    assert [row.content for row in read(tmp_path / "a.csv.gz")] == TEXTS
    content = pack("\n".join(f"text {number}" for number in range(99_999)).encode())
    (tmp_path / "cut.txt.gz").write_bytes(content[:-100])
    with pytest.raises(RecipeError, match="cannot be read, or is damaged"):
        read(tmp_path / "cut.txt.gz")


def test_damaged_rows_come_with_their_problem_and_the_others_follow(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,id\nfine,1\nfine,1,2\n,3\nnull,4\ngood,5\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"text": 7}\n[1]\n{"text"\n{"text": "good"}\n')
    (tmp_path / "a.txt").write_bytes(b"fine\n\xe9\xff bad\n\ngood\n" + "東京\n".encode() * 9)
    problems = {
        "a.csv": ["3 fields, and the header has 2", "the text is empty", "'null' stands for a missing text"],
        "a.jsonl": ["the text is a number", "[1] is no object", "it is no JSON"],
        "a.txt": ["the byte 0xe9 is not in the encoding", "the text is empty"],
    }
    for name, expected in problems.items():
        rows = read(tmp_path / name)
        report = [row.problem for row in rows if row.problem]
        assert len(report) == len(expected)
        assert all(part in problem for part, problem in zip(expected, report, strict=True)), report
        assert [row.content for row in rows if not row.problem][:2] == ["fine", "good"]
    assert [row.place for row in read(tmp_path / "a.csv")][1] == "a.csv, row 3"


def test_a_quote_that_is_not_closed_loses_only_the_rest_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,id\nfine,1\n"never closed,2\nlost,3\n')
    (tmp_path / "b.csv").write_text("text,id\ngood,1\n")
    rows = read(tmp_path / "a.csv", tmp_path / "b.csv")
    assert [row.content for row in rows] == ["fine", None, "good"]
    assert "not closed before the end of the file; the rows from here on cannot be read" in rows[1].problem


def test_a_missing_column_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        WRITERS[name](tmp_path / name)
        with pytest.raises(RecipeError) as refused:
            read(tmp_path / name, column="review")
        message = f"{name}: there is no column 'review'; the columns are 'id', 'text'; --column text names another one"
        assert str(refused.value) == message
        with pytest.raises(RecipeError, match=r"there is no column 'other'.*--keep names another one"):
            read(tmp_path / name, keeps=["other"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("twice.csv", b"text,text\na,b\n", "2 columns are named 'text'; each column has a name of its own"),
        ("lines.jsonl", b"a fine film\n", "the first rows have no columns; line 1: it is no JSON"),
        ("book.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "this is an Excel workbook, not text; save it"),
        ("page.odt", zipped("mimetype"), "this is an OpenDocument file, not text; save it"),
        ("damaged.xlsx", b"PK\x03\x04", r"this is a document \(.xlsx\), not text; save it"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_the_reason(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(("name", "row"), [("a.csv", '"{}",x'), ("a.jsonl", '{{"text": "{}"}}')])
def test_a_long_cell_of_a_table_is_read_whole(name: str, row: str, tmp_path: Path) -> None:
    texts = ["fine", "good " * 900_000, "poor"]
    lines = ["text,id"] * (name == "a.csv") + [row.format(text) for text in texts]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    assert [row.content for row in read(tmp_path / name)] == texts


def test_a_list_of_json_keeps_its_order_where_items_are_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "fine"}, null, {"text": "good"}]')
    rows = read(tmp_path / "a.json")
    assert [(row.place, row.content) for row in rows] == [
        *(("a.json, item 1", "fine"), ("a.json, item 2", None), ("a.json, item 3", "good"))
    ]
    assert rows[1].problem == "null is no object; each example is one, {…}"


def test_images_of_a_folder_are_found_by_their_bytes_where_their_names_do_not_tell(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "photo", format="PNG")
    (tmp_path / "readme.txt").write_text("about the photos")
    (tmp_path / "new.heic").write_bytes(b"ftypheic")
    rows = read(tmp_path, kind="images")
    assert [(Path(row.name).name, row.content) for row in rows] == [
        ("photo", tmp_path / "photo"),
        ("new.heic", None),
    ]
    assert rows[1].problem.startswith("this is no image of a kind that is read; these kinds are JPEG")
    (tmp_path / "photo").unlink()
    with pytest.raises(RecipeError, match=r"has no images.*'new\.heic': this is no image of a kind"):
        read(tmp_path, kind="images")


def test_each_file_of_a_folder_or_archive_is_a_text_or_an_image(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number, name in enumerate(("b.txt", "sub/a.txt", ".hidden.txt")):
        (tmp_path / "in" / name).write_text(f"text {number}\nof two lines")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "in" / "sub" / "c.png")
    (tmp_path / "in" / "gone.txt").symlink_to(tmp_path / "nowhere")
    texts = read(tmp_path / "in")
    assert [row.name for row in texts] == ["text 0\nof two lines", "text 1\nof two lines", "in/gone.txt"]
    assert "does not exist" in texts[2].problem
    [image, _] = read(tmp_path / "in", kind="images")
    assert (image.name, image.content) == ("in/sub/c.png", tmp_path / "in" / "sub" / "c.png")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "in" / "b.txt", "b.txt")
        archive.write(tmp_path / "in" / "sub" / "a.txt", "a.txt")
    assert len(read(tmp_path / "in.zip")) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="this folder has no images"):
        read(tmp_path / "empty", kind="images")
    with pytest.raises(RecipeError, match="no such file or folder"):
        read(tmp_path / "nothing.csv")


def test_images_come_from_tables_and_from_lists_of_paths(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(picture)
    (tmp_path / "a.csv").write_text("image,id\na.png,1\n,2\n")
    parquet.write_table(pyarrow.table({"image": [picture.read_bytes(), b""]}), tmp_path / "a.parquet")
    (tmp_path / "paths.txt").write_text(f"{picture}\n")
    for name, content in (("a.csv", picture), ("a.parquet", picture.read_bytes())):
        rows = read(tmp_path / name, kind="images", column="image")
        assert [row.content for row in rows] == [content, None]
        assert rows[1].problem == "there is no image"
    assert [row.content for row in read(tmp_path / "paths.txt", kind="images")] == [picture]


def test_a_pipe_is_read_as_it_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    written = threading.Event()

    def write() -> None:
        with (tmp_path / "pipe").open("w") as pipe:
            pipe.write("one\n" * 70_000)
            written.wait(60)
            pipe.write("two\n")

    threading.Thread(target=write, daemon=True).start()
    rows = InputReader([Input(tmp_path / "pipe", "-")], "texts", "text").read()
    assert next(rows).place == "standard input, line 1"
    written.set()
    assert [row.content for row in rows][-1] == "two"
