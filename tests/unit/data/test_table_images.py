"""Tables with a column of images: paths beside the table, or bytes in a Parquet file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from ftapp import data
from ftapp.common.errors import RecipeError
from ftapp.data import table
from ftapp.recipe import Data, sources
from tests.support.images import noise, write

LABELS = ["cat" if number % 2 else "dog" for number in range(20)]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(seed)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A CSV file that names twenty images in a folder beside it."""
    for number in range(20):
        write(tmp_path / "photos" / f"{number:02}.png", noise(number))
    lines = [f"photos/{number:02}.png,{label},{number // 4}" for number, label in enumerate(LABELS)]
    (tmp_path / "photos.csv").write_text("\n".join(["image,label,patient", *lines]) + "\n")
    return tmp_path / "photos.csv"


def spec(source: str, **keys: object) -> Data:
    return Data.model_validate({"source": source, **keys})


def load(source: str, **keys: object) -> data.Splits:
    return data.load(spec(source, **keys), "image-classification", 0)


def problems(source: str, **keys: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(source, **keys)
    return [str(problem) for problem in caught.value.problems]


def find_classes(splits: data.Splits) -> dict[bytes, str]:
    """The pixels of each image -> the name of its class."""
    return {
        np.asarray(part[at]).tobytes(): splits.classes[part.labels[at]]
        for part in (splits.train, splits.validation, splits.test)
        for at in range(len(part))
    }


EXPECTED = {noise(number).tobytes(): label for number, label in enumerate(LABELS)}


def test_paths_are_relative_to_the_table(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    splits = load(f"csv:{photos}")
    assert find_classes(splits) == EXPECTED
    assert splits.classes == ("cat", "dog")
    assert splits.train.examples.locate(0) == "row 2, photos/00.png"
    assert splits.train.examples.decodes


@pytest.mark.parametrize(
    "images",
    [
        [png(number) for number in range(20)],
        [{"bytes": png(number), "path": f"{number}.png"} for number in range(20)],
        [{"bytes": None, "path": f"photos/{number:02}.png"} for number in range(20)],
        [f"photos/{number:02}.png" for number in range(20)],
    ],
)
def test_each_form_of_image_in_a_parquet_file(photos: Path, images: list[Any]) -> None:
    path = photos.with_suffix(".parquet")
    parquet.write_table(pyarrow.table({"picture": images, "label": LABELS}), path)
    assert find_classes(load(f"parquet:{path}", image_column="picture")) == EXPECTED
    assert problems(f"parquet:{path}")[0].endswith("--set data.image_column=picture")


def test_images_that_do_not_fit_in_memory_are_refused(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photos.with_suffix(".parquet")
    parquet.write_table(pyarrow.table({"image": [png(number) for number in range(20)], "label": LABELS}), path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=path.stat().st_size))
    (found,) = problems(f"parquet:{path}")
    assert "of memory are free; images in Parquet and Arrow files are kept in memory; write them as files" in found


def test_a_recipe_for_texts_says_that_a_table_has_images(photos: Path) -> None:
    with pytest.raises(RecipeError, match=r"the column 'image' holds images; name a recipe for images, such as vgg16"):
        data.load(spec(f"csv:{photos}"), "text-classification", 0)


def test_json_lines_split_and_group_columns(photos: Path) -> None:
    rows = [
        {
            "file": f"photos/{number:02}.png",
            "label": label,
            "part": "test" if number > 13 else "train",
            "who": number // 2,
        }
        for number, label in enumerate(LABELS)
    ]
    path = photos.with_suffix(".jsonl")
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = load(f"jsonl:{path}", image_column="file", split_column="part", group_column="who")
    assert len(splits.test) == 6
    assert any(note.startswith("no group is in two splits") for note in splits.notes)


def test_missing_and_broken_files_are_named_by_row_or_left_out(photos: Path) -> None:
    (photos.parent / "photos" / "03.png").unlink()
    (photos.parent / "photos" / "04.png").unlink()
    (found,) = problems(f"csv:{photos}")
    assert found.startswith(f"{photos}: data.image_column: rows 5, 6: there is no file 'photos/03.png'; did you mean '")
    assert found.endswith(
        f"; paths are relative to the table's folder, {photos.parent}; to leave such images out, "
        "--set data.skip_broken=true"
    )
    (photos.parent / "photos" / "05.png").write_bytes(png(5)[:90])
    splits = load(f"csv:{photos}", skip_broken=True)
    assert len(find_classes(splits)) == 17
    assert splits.notes == (
        "3 images left out that cannot be decoded: row 5, photos/03.png, row 6, photos/04.png, row 7, photos/05.png",
    )
    write(photos.parent / "photos" / "03.png", noise(3))
    write(photos.parent / "photos" / "04.png", noise(4))
    (found,) = problems(f"csv:{photos}")
    assert found.startswith(f"{photos}: data.image_column: row 7: this image cannot be decoded: it is corrupt")
    for number in range(1, 20, 2):
        (photos.parent / "photos" / f"{number:02}.png").write_bytes(b"")
    assert problems(f"csv:{photos}", skip_broken=True) == [
        f"{photos}: data.source: none of the images of the class 'cat' can be decoded; a class has some"
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "row 2: there is no image; each example has one; to leave these rows out"),
        ("https://example.org/a.png", "row 2: 'https://example.org/a.png' is an address; images are files"),
        ("photos", "row 2: there is no file 'photos'"),
    ],
)
def test_what_is_no_image_is_refused(photos: Path, value: str, message: str) -> None:
    photos.write_text(photos.read_text().replace("photos/00.png", value))
    assert message in problems(f"csv:{photos}")[0]


def test_rows_without_an_image_are_left_out_on_demand(photos: Path) -> None:
    photos.write_text(photos.read_text().replace("photos/00.png", ""))
    splits = load(f"csv:{photos}", skip_incomplete=True)
    assert splits.notes == ("1 row left out: no image or no label in it",)


def test_the_check_before_a_run_decodes_no_image(photos: Path) -> None:
    (photos.parent / "photos" / "05.png").write_bytes(b"")
    source = sources.parse(f"csv:{photos}")
    table.check(spec(f"csv:{photos}"), source, "image-classification")
    (photos.parent / "photos" / "05.png").unlink()
    with pytest.raises(RecipeError, match=r"row 7: there is no file 'photos/05\.png'"):
        table.check(spec(f"csv:{photos}"), source, "image-classification")
