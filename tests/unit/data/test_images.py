"""Folders of images and data sets of TFDS: every kind of image, and what is said about files that are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
from PIL import Image

from ftapp import data
from ftapp.common.errors import RecipeError, RunError
from ftapp.data import folder
from ftapp.data.encoded import Images
from ftapp.data.encoding import encode_images
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import sources
from tests.support.images import noise, problems, spec, write


def test_a_folder_of_classes(pets: Path) -> None:
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    assert splits.classes == ("cat", "dog")
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]
    for part in (splits.train, splits.test):
        for position in range(len(part)):
            source = part.find_file(position)
            assert source is not None
            assert source.parent.name == splits.classes[part.labels[position]]
            np.testing.assert_array_equal(part[position], noise(int(source.stem)))
    assert data.load(spec(f"folder:{pets}", classes=["dog", "cat"]), "image-classification", 0).classes == (
        "dog",
        "cat",
    )


def test_equal_files_are_dropped_and_debris_is_ignored(pets: Path) -> None:
    (pets / "cat" / "copy.png").write_bytes((pets / "cat" / "01.png").read_bytes())
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (pets / "cat" / name).write_bytes(b"debris")
    (pets / ".cache").mkdir()
    (pets / "README.txt").write_text("about these pictures")
    assert data.load(spec(f"folder:{pets}"), "image-classification", 0).duplicates == 1


def test_given_splits(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / ("test" if number < 6 else "train") / "ab"[number % 2] / f"{number}.png", noise(number))
    (tmp_path / "train" / "a" / "leak.png").write_bytes((tmp_path / "test" / "a" / "0.png").read_bytes())
    splits = data.load(spec(f"folder:{tmp_path}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [13, 1, 6]
    assert (splits.classes, splits.duplicates) == (("a", "b"), 1)
    for number in range(20, 24):
        write(tmp_path / "val" / "ab"[number % 2] / f"{number}.png", noise(number))
    splits = data.load(spec(f"folder:{tmp_path}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 4, 6]
    write(tmp_path / "train" / "c" / "c.png", noise(99))
    found = problems(tmp_path)
    assert f"{tmp_path}: data.source: 2 files: test, val: the class 'c' is missing; each split has every" in found[0]
    assert found[0].endswith("folder away from train")


def test_splits_that_are_the_same_are_refused_with_what_they_share(tmp_path: Path) -> None:
    for number in range(8):
        for part in ("train", "test"):
            write(tmp_path / part / "ab"[number % 2] / f"{number}.png", noise(number))
    found = problems(tmp_path)
    assert len(found) == 1
    assert "without duplicates, 'a' has 0, 'b' has 0" in found[0]
    assert found[0].endswith("8 of 8 training examples are in a held-out split too")


def test_the_check_of_images_counts_images(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", noise(number))
    reports: list[tuple[str, int, int | None]] = []
    data.load(spec(f"folder:{tmp_path}"), "image-classification", 0, lambda *each: reports.append(each))
    assert reports[-1] == ("checking images", 6, 6)


def test_classes_are_named_by_emoji_and_scripts_with_joiners(tmp_path: Path) -> None:
    names = ("\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
    for number in range(20):
        write(tmp_path / names[number % 2] / f"{number}.png", noise(number))
    assert set(data.load(spec(f"folder:{tmp_path}"), "image-classification", 0).classes) == set(names)


def test_a_missing_file_is_not_one_of_another_kind(tmp_path: Path) -> None:
    for name in (".rel.csv", "rel.sh", "reviews.csv"):
        (tmp_path / name).write_text("text,label\n")
    with pytest.raises(ValueError, match=r"there is no file '.*rel\.csv'; (choose from|did you mean) 'reviews\.csv'"):
        sources.resolve(f"csv:{tmp_path}/rel.csv")


def test_problems_of_a_folder(pets: Path, tmp_path: Path) -> None:
    whole = (pets / "cat" / "01.png").read_bytes()
    (pets / "cat" / "short.png").write_bytes(whole[:-40])
    (pets / "cat" / "empty.jpg").write_bytes(b"")
    (pets / "dog" / "page.jpeg").write_text("<html>")
    (pets / "dog" / "lost.heic").write_bytes(b"\0\0\0\x20ftypheic")
    found = problems(pets)
    assert len(found) == 4
    for problem, name, message in zip(
        sorted(found),
        ("cat/empty.jpg", "cat/short.png", "dog/lost.heic", "dog/page.jpeg"),
        ("it is empty", "it is corrupt or cut short", "no image of a kind that is read", "it holds a web page"),
        strict=True,
    ):
        assert problem.startswith(f"{pets}/{name}: data.source: ")
        assert message in problem


def test_problems_of_classes(pets: Path) -> None:
    assert "'cats', which has no folder; did you mean 'cat'?" in problems(pets, classes=["cats", "dog"])[-1]
    (pets / "bird").mkdir()
    assert "bird: data.source: this folder has no images; a class has some" in problems(pets)[0]
    write(pets / "stray.png", noise(7))
    assert "stray.png: data.source: this image lies in pets itself; each image is in the folder" in problems(pets)[0]
    one = pets / "cat"
    assert "this folder has no folders; a folder of images has a folder for each" in problems(one.parent / "bird")[0]


def test_a_link_to_the_folder_of_another_class_is_no_class(pets: Path) -> None:
    (pets / "ape").symlink_to("cat")
    (problem,) = problems(pets)
    assert problem.startswith(f"{pets}/ape: data.source: this link leads to the folder of the class 'cat'; each class")
    (pets / "ape").unlink()
    (pets / "cat").rename(pets.parent / "elsewhere")
    for name in ("ape", "cat"):  # neither is the folder itself
        (pets / name).symlink_to(pets.parent / "elsewhere")
    (problem,) = problems(pets)
    assert problem.startswith(f"{pets}/cat: data.source: this link leads to the folder of the class 'ape'")


def test_links_are_followed_unless_they_lead_nowhere(pets: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    (linked / "dog").mkdir(parents=True)
    (linked / "cat").symlink_to(pets / "cat")
    for path in (pets / "dog").iterdir():
        (linked / "dog" / path.name).symlink_to(path)
    splits = data.load(spec(f"folder:{linked}"), "image-classification", 0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 2, 4]
    (linked / "dog" / "gone.png").symlink_to("gone-before.png")
    (linked / "dog" / "self.png").symlink_to("self.png")
    (linked / "dog" / "up").symlink_to("..")
    os.mkfifo(linked / "dog" / "pipe.png")
    found = sorted(problems(linked))
    assert [problem.partition("dog/")[2] for problem in found] == [
        "gone.png: data.source: this link leads to 'gone-before.png', which does not exist; remove it, or bring back "
        "its target",
        "pipe.png: data.source: this is a pipe or a device and no file; remove it",
        "self.png: data.source: this link leads to itself; remove it",
        "up: data.source: this link leads back to a folder that it lies in; remove it",
    ]
    for name, target in (("bird", "nowhere"), ("fish", "fish"), ("all", ".")):
        (linked / name).symlink_to(target)
    assert [problem.partition("linked/")[2][:40] for problem in sorted(problems(linked))] == [
        "all: data.source: this link leads back t",
        "bird: data.source: this link leads to 'n",
        "fish: data.source: this link leads to it",
    ]
    split = tmp_path / "split"
    (split / "train").mkdir(parents=True)
    for name in ("cat", "dog"):
        (split / "train" / name).symlink_to(pets / name)
    (split / "val").symlink_to("lost")
    assert "split/val: data.source: this link leads to 'lost'" in problems(split)[0]


def test_class_folders_that_look_alike_are_refused_or_merged(tmp_path: Path) -> None:
    for number in range(24):
        kind = ("Cat", "cat", "dog")[number % 3]
        write(tmp_path / "pets" / kind / f"{number}.png", noise(number))
    pets = tmp_path / "pets"
    assert problems(pets) == [
        f"{pets}: data.classes: 'Cat' (8) and 'cat' (8) differ only in letter case; labels that look alike are one "
        "class or named apart; to merge them, --set data.merge_labels=true; to keep them apart, "
        """--set 'data.classes=["Cat", "cat", "dog"]'"""
    ]
    splits = data.load(spec(f"folder:{pets}", merge_labels=True), "image-classification", 0)
    assert (splits.classes, splits.notes) == (("cat", "dog"), ("folders merged: Cat as cat",))
    assert np.bincount(splits.train.labels).tolist() == [12, 5]
    (pets / "Cat").rename(pets / "unlabeled")
    assert "'unlabeled' stands for a missing label, and is no class; to leave these images out" in problems(pets)[0]
    (pets / "unlabeled").rename(pets / "bird")
    names = ["a bird", "a cat", "a dog"]
    for number, name in enumerate(("bird", "cat", "dog")):
        (pets / name).rename(pets / str(number + 1))
    splits = data.load(spec(f"folder:{pets}", classes=names), "image-classification", 0)
    assert splits.classes == tuple(names)
    assert splits.notes == ("labels are numbers: 1 = a bird, 2 = a cat, 3 = a dog",)


def test_what_may_not_be_read_is_called_so(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system_open = os.open

    def refuse(path: Any, *given: Any, **named: Any) -> int:
        if str(path).endswith(".png"):
            raise PermissionError(13, "Permission denied", str(path))
        return system_open(path, *given, **named)

    monkeypatch.setattr(os, "open", refuse)
    assert problems(pets) == [
        f"{pets}: data.source: 20 files: cat/01.png, cat/03.png, cat/05.png and 17 more: this image cannot be decoded: "
        "it cannot be read: Permission denied; to leave such images out, --set data.skip_broken=true"
    ]


def test_an_image_that_is_lost_after_the_check_is_named(pets: Path) -> None:
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    (pets / "cat" / "03.png").unlink()
    with pytest.raises(RunError, match=r"the image .*/cat/03\.png was readable when it was checked"):
        list(map(splits.train.examples.__getitem__, range(20)))


def test_names_that_are_no_utf8_are_read_or_named_in_escapes(pets: Path) -> None:
    (pets / "cat" / "01.png").rename(os.fsdecode(os.fsencode(pets / "cat") + b"/im\xe9.png"))
    assert len(data.load(spec(f"folder:{pets}"), "image-classification", 0).train) == 14
    Path(os.fsdecode(os.fsencode(pets / "cat") + b"/im\xe8.png")).write_bytes(b"")
    assert problems(pets)[0].startswith(f"{pets}/cat/im\\xe8.png: data.source: ")
    (pets / "dog").rename(pets / "do\n\x1b[31mg")
    (pets / "cat").rename(os.fsdecode(os.fsencode(pets) + b"/caf\xe9"))
    assert problems(pets) == [
        f"{pets}: data.source: 2 files: caf\\xe9, do\\n\\x1b[31mg: this name cannot be printed; a class is named in "
        "one line of UTF-8 text; rename the folder"
    ]


def test_class_folders_that_look_alike_are_merged_or_named_apart(pets: Path) -> None:
    for number in range(4):
        write(pets / "Cat" / f"{number}.png", noise(100 + number))
    (message,) = problems(pets)
    assert "'cat' (10) and 'Cat' (4) differ only in letter case" in message
    merged = data.load(spec(f"folder:{pets}", merge_labels=True), "image-classification", 0)
    assert merged.classes == ("cat", "dog")
    assert np.sum(list(merged.counts.values()), axis=0).tolist() == [14, 10]
    assert merged.notes == ("folders merged: Cat as cat",)
    names = ["cat", "Cat", "dog"]
    apart = data.load(spec(f"folder:{pets}", classes=names), "image-classification", 0)
    assert np.sum(list(apart.counts.values()), axis=0).tolist() == [10, 4, 10]
    with pytest.raises(RecipeError, match="differ only in letter case"):
        data.load(spec(f"folder:{pets}", classes=["cat", "dog"]), "image-classification", 0)


def test_class_folders_that_are_numbers_have_names_in_the_recipe(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / str(1 + number % 2) / f"{number:02}.png", noise(number))
    splits = data.load(spec(f"folder:{tmp_path}", classes=["cat", "dog"]), "image-classification", 0)
    assert splits.classes == ("cat", "dog")
    assert splits.notes == ("labels are numbers: 1 = cat, 2 = dog",)


def test_the_check_before_a_run_reads_no_image(pets: Path) -> None:
    source = sources.parse(f"folder:{pets}")
    (pets / "cat" / "broken.png").write_bytes(b"no image")
    folder.check(spec(f"folder:{pets}"), source, "image-classification")
    (pets / "cat" / "film.mp4").write_bytes(b"no image")
    with pytest.raises(RecipeError, match=r"film\.mp4: data\.source: this is no image"):
        folder.check(spec(f"folder:{pets}"), source, "image-classification")


def test_images_are_read_in_training_as_in_prediction(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(8):
            small = random.integers(0, 255, (5, 7, 3)).astype(np.uint8)
            size = (70 * (1 + number), 50 * (1 + number))
            Image.fromarray(small).resize(size).save(tmp_path / name / f"{number}.jpg")
    converter = keras_hub.layers.VGGImageConverter(image_size=(32, 48), scale=1 / 255, crop_to_aspect_ratio=True)
    preprocessor = keras_hub.models.VGGImageClassifierPreprocessor(converter)
    train = data.load(spec(f"folder:{tmp_path}"), "image-classification", 0).train
    paths = [train.find_file(at) for at in range(len(train))]
    inputs = Images(train, preprocessor, None).make_inputs(np.arange(len(train)), None)

    class Given(keras.layers.Layer):  # type: ignore[misc]
        """Puts out its inputs."""

        def predict(self, images: object, **options: object) -> object:
            return images

    trained = TrainedModel("image-classification", "softmax", train.examples.classes, Given(), preprocessor, None)
    np.testing.assert_array_equal(trained.predict(paths), inputs)
    whole = encode_images([train[index] for index in range(len(train))], preprocessor)
    assert 0 < np.abs(whole - inputs).max() < 0.3  # whole photographs, of which few pixels are looked at


def test_sources_of_files_have_other_hashes_than_arrays(tmp_path: Path, pets: Path) -> None:
    converter = keras_hub.layers.VGGImageConverter(image_size=(32, 32), scale=1 / 255)
    preprocessor = keras_hub.models.VGGImageClassifierPreprocessor(converter)
    train = data.load(spec(f"folder:{pets}"), "image-classification", 0).train
    read = Images(train, preprocessor, None).hash_examples(np.arange(2), None)
    train.examples.decodes = False
    assert Images(train, preprocessor, None).hash_examples(np.arange(2), None) != read
