"""Tables in several files: patterns and folders give the rows of all files, and a file that does not fit is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from ftapp import data
from ftapp.recipe import sources
from ftapp.rpc import structure_cache
from tests.unit.data.test_texts import problems, spec, texts

ROWS = [(f"review number {number}", "good" if number % 2 else "bad") for number in range(30)]


def write(path: Path, rows: list[tuple[str, str]], header: str = "text,label", part: str = ",") -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    lines = [header.replace(",", part), *(part.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Three files of ten rows."""
    for number in range(3):
        write(tmp_path / "parts" / f"part-{number}.csv", ROWS[10 * number : 10 * number + 10])
    return tmp_path / "parts"


@pytest.mark.parametrize("name", ["parts", "parts/*.csv", "parts/part-?.csv", "**/*.csv"])
def test_a_folder_or_a_pattern_is_one_table(parts: Path, name: str) -> None:
    (parts / "notes.txt").write_text("no table")
    splits = data.load(spec(sources.resolve(f"csv:{parts.parent}/{name}")), "text-classification", 0)
    assert texts(splits) == dict(ROWS)
    assert splits.notes == ("30 rows read from 3 files",)
    assert splits.train.examples.locate(12) == "part-1.csv, row 4"


def test_filters_follow_a_pattern(parts: Path) -> None:
    source = sources.parse(f"csv:{parts}/part-?.csv?label=good&text=a=b?")
    assert (source.name, source.where) == (f"{parts}/part-?.csv", {"label": "good", "text": "a=b?"})
    assert sources.parse("csv:part.csv?lang=").where == {"lang": ""}, "rows whose cell is empty, not all rows"


def test_each_file_has_its_own_way_of_writing(parts: Path) -> None:
    write(parts / "part-1.csv", ROWS[10:20], part=";")
    (parts / "part-2.csv").rename(parts / "part-2.tsv")
    write(parts / "part-2.tsv", ROWS[20:], part="\t")
    (parts / "part-0.csv.gz").write_bytes(gzip.compress((parts / "part-0.csv").read_bytes()))
    (parts / "part-0.csv").unlink()
    splits = data.load(spec(f"csv:{parts}"), "text-classification", 0)
    assert texts(splits) == dict(ROWS)
    assert splits.notes == (
        "30 rows read from 3 files",
        "part-1.csv: read with semicolons between fields",
        "part-2.tsv: read with tabs between fields",
    )


def test_a_file_without_a_column_is_named(parts: Path) -> None:
    write(parts / "part-1.csv", ROWS[10:20], header="text,class")
    write(parts / "part-2.csv", [("", "good")])
    assert problems(f"csv:{parts}") == [
        f"{parts}/part-1.csv: data.label_column: there is no column 'label'; the columns are 'text', 'class'; "
        "other files of the table have it; rename a column of this one, or leave the file out"
    ]
    write(parts / "part-1.csv", ROWS[10:20])
    assert problems(f"csv:{parts}")[0].startswith(f"{parts}/part-2.csv: data.text_column: row 2: the text is empty")


def test_an_empty_part_is_told_and_a_table_without_rows_refused(parts: Path) -> None:
    write(parts / "part-1.csv", [])
    splits = data.load(spec(f"csv:{parts}"), "text-classification", 0)
    assert splits.notes == ("20 rows read from 3 files", "part-1.csv: no rows in this file")
    write(parts / "part-0.csv", [])
    write(parts / "part-2.csv", [])
    assert problems(f"csv:{parts}") == [f"{parts}: data.source: this table has no rows; it has one for each example"]


def test_a_folder_of_parquet_files_that_are_called_like_splits(tmp_path: Path) -> None:
    for name, rows in (("train-00000-of-00002", ROWS[:10]), ("train-00001-of-00002", ROWS[10:20]), ("test", ROWS[20:])):
        columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{name}.parquet")
    source = sources.resolve(f"parquet:{tmp_path}")
    splits = data.load(spec(source), "text-classification", 0)
    assert {splits.test[at] for at in range(len(splits.test))} == {text for text, _ in ROWS[20:]}
    assert splits.notes[1] == (
        "splits by file: train from train-00000-of-00002.parquet, train-00001-of-00002.parquet, test from test.parquet"
    )
    together = data.load(spec(source, splits="none"), "text-classification", 0)
    assert len(together.test) == 6
    (tmp_path / "more.parquet").write_bytes((tmp_path / "test.parquet").read_bytes())
    assert "are called like splits, and 'more.parquet' is not" in problems(source)[0]


def test_what_matches_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, message in (
        (f"csv:{tmp_path}/*.csv", f"nothing matches '{tmp_path}/\\*.csv'; a pattern matches at least one file"),
        (
            "hf:imdb",
            "'imdb' names no data set of Hugging Face; such a name is OWNER/NAME",
        ),
        (f"parquet:{tmp_path}/empty", f"the folder '{tmp_path}/empty' has no .parquet file; name a file"),
    ):
        with pytest.raises(ValueError, match=message):
            sources.resolve(source)


def test_a_column_that_no_file_has_is_named_with_the_likely_one(parts: Path) -> None:
    found = problems(f"csv:{parts}", label_column="lable")
    assert found == [
        f"{parts}: data.label_column: 3 files: part-0.csv, part-1.csv, part-2.csv: there is no column 'lable'; the "
        "columns are 'text', 'label'; --set data.label_column=label"
    ]


def test_a_path_that_is_no_recipe_is_named_as_the_source_it_is(parts: Path, tmp_path: Path) -> None:
    assert sources.guess(str(parts)) == f"csv:{parts}"
    assert sources.guess(str(tmp_path)) == f"folder:{tmp_path}"
    (parts / "b.jsonl").touch()
    assert sources.guess(str(parts)) == f"folder:{parts}"


def test_a_folder_of_tables_in_place_of_classes_is_named_so(parts: Path) -> None:
    assert problems(f"folder:{parts}")[0].endswith(f"two classes or more; --set data.source=csv:{parts}")


def test_a_change_of_any_file_is_another_state_of_the_data(parts: Path) -> None:
    from ftapp import recipe

    loaded = recipe.load(recipe.find("bert-full"), "quick", [f"data.source=csv:{parts}/*.csv"])
    before = structure_cache.identify_data(loaded)
    assert structure_cache.identify_data(loaded) == before
    write(parts / "part-2.csv", ROWS[20:29])
    assert structure_cache.identify_data(loaded) != before
