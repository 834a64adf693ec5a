"""Folders of texts with a sub-folder a class, as reviews and newsgroups are published."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ftapp import data
from ftapp.analysis.advice import choose_recipe
from ftapp.common.errors import RecipeError
from ftapp.data import folder
from ftapp.recipe import sources
from tests.unit.data.test_texts import problems, spec, texts


def write(folder: Path, count: int, words: str = "review") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}_7.txt").write_text(f"{words} {folder.parent.name} {folder.name} number {number}<br />yes")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A folder like that of Maas et al.: splits that hold classes, with notes beside them."""
    for part, count in (("train", 12), ("test", 6)):
        for label in ("neg", "pos"):
            write(tmp_path / "wrapper" / "reviews" / part / label, count)
        (tmp_path / "wrapper" / "reviews" / part / "urls_pos.txt").write_text("http://example.org")
    (tmp_path / "wrapper" / "reviews" / "README").write_text("about")
    return tmp_path / "wrapper"


def test_a_folder_of_texts_has_classes_and_splits(reviews: Path) -> None:
    splits = data.load(spec(f"folder:{reviews}"), "text-classification", 0)
    assert splits.classes == ("neg", "pos")
    assert (len(splits.test), len(splits.train) + len(splits.validation)) == (12, 24)
    assert texts(splits)["review train pos number 3 yes"] == "pos"
    assert splits.notes == ("splits by folder: train from reviews/train, validation drawn from the training split, "
                            "test from reviews/test",)  # fmt: skip
    assert splits.test.examples.locate(0) in ("neg/0_7.txt", "pos/0_7.txt")


def test_files_without_an_ending_are_texts_and_others_are_told(tmp_path: Path) -> None:
    for label in ("sci.space", "rec.autos"):
        (tmp_path / label).mkdir()
        for number in range(5):
            (tmp_path / label / f"{number}0123").write_text(f"message {number} about {label}")
    (tmp_path / "sci.space" / "index.json").write_text("{}")
    splits = data.load(spec(f"folder:{tmp_path}"), "text-classification", 0)
    assert splits.classes == ("rec.autos", "sci.space")
    assert splits.notes == ("1 file in class folders ignored, no texts: index.json",)


def test_an_archive_of_texts_is_read_as_its_folder(reviews: Path) -> None:
    archive = shutil.make_archive(str(reviews.parent / "made"), "gztar", reviews)
    splits = data.load(spec(f"folder:{archive}"), "text-classification", 0)
    assert texts(splits) == texts(data.load(spec(f"folder:{reviews}"), "text-classification", 0))


def test_empty_and_undecodable_texts_are_named_or_left_out(reviews: Path) -> None:
    train = reviews / "reviews" / "train"
    (train / "pos" / "0_7.txt").write_text(" ")
    (found,) = problems(f"folder:{reviews}")
    assert found.startswith(f"{train}/pos/0_7.txt: data.source: this file is empty; a text has words; to leave such")
    splits = data.load(spec(f"folder:{reviews}", skip_incomplete=True), "text-classification", 0)
    assert splits.notes[1] == "1 empty file left out: pos/0_7.txt"
    for number in range(12):
        (train / "neg" / f"{number}_7.txt").write_text("")
    assert problems(f"folder:{reviews}", skip_incomplete=True) == [
        f"{train}/neg: data.source: none of the texts of this class has words; a class has some"
    ]
    (train / "pos" / "1_7.txt").write_bytes("кино".encode("koi8-r"))
    assert "is not UTF-8" in problems(f"folder:{reviews}")[0]


def test_notes_about_single_texts_are_few(reviews: Path) -> None:
    for number in range(12):
        (reviews / "reviews" / "train" / "pos" / f"{number}_7.txt").write_bytes(f"café {number}".encode("cp1252"))
    splits = data.load(spec(f"folder:{reviews}"), "text-classification", 0)
    assert splits.notes[1].startswith("read as cp1252 ('…café 0…'), since it is not UTF-8")
    assert splits.notes[-1] == "and 9 notes like these"
    assert len(splits.notes) == 5


def test_a_folder_without_texts_is_refused_before_they_are_read(pets: Path) -> None:
    source = sources.parse(f"folder:{pets}")
    with pytest.raises(RecipeError, match="this folder has no texts; a class has some"):
        folder.check(spec(f"folder:{pets}"), source, "text-classification")


def test_advice_on_a_folder_asks_the_model_of_its_files(reviews: Path, pets: Path) -> None:
    assert choose_recipe(None, f"folder:{reviews}") == "bert-head-only"
    assert choose_recipe(None, f"folder:{pets}") == "vgg16-feature-extractor"
