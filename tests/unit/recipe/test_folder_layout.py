"""Which folders of a folder of images are splits and which are classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ftapp.recipe import folder_layout
from ftapp.recipe.folder_layout import LayoutError, find_role


def make(root: Path, *folders: str) -> Path:
    """Folders of one picture each; a name that ends in a slash stays empty, one with a dot is a file."""
    for name in folders:
        folder = root / name
        if "." in name:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.write_bytes(b"")
            continue
        folder.mkdir(parents=True)
        if not name.endswith("/"):
            (folder / "1.png").write_bytes(b"")
    return root


def parts(root: Path) -> dict[str, str]:
    return {str(folder.relative_to(root)): split for folder, split in folder_layout.find(root).parts.items()}


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("train", "val"), ("train", "validation")),
        (("train", "valid", "test"), ("train", "validation", "test")),
        (("Train", "Test"), ("train", "test")),
        (("TRAINING", "Dev", "Hold-out"), ("train", "validation", "test")),
        (("01_train", "02_test"), ("train", "test")),
        (("train2017", "val2017"), ("train", "validation")),
        (("dogs_trainSet", "dogs_testSet"), ("train", "test")),
        (("train_1", "train_2", "eval"), ("train", "train", "test")),
    ],
)
def test_folders_with_the_same_folders_are_splits(tmp_path: Path, names: Sequence[str], roles: Sequence[str]) -> None:
    make(tmp_path, *(f"{name}/{kind}" for name in names for kind in ("cat", "dog")))
    assert parts(tmp_path) == dict(zip(names, roles, strict=True))


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("cat", "dog"), {".": "train"}),
        (("train/cat", "train/dog"), {"train": "train"}),
        (("pets/v2/cat", "pets/v2/dog", "pets/README.md"), {"pets/v2": "train"}),
        (("pets/train/cat", "pets/train/dog", "pets/val/cat", "pets/val/dog"), {
            "pets/train": "train", "pets/val": "validation"}),
        (("seg_train/seg_train/cat", "seg_train/seg_train/dog", "seg_test/seg_test/cat", "seg_test/seg_test/dog",
          "seg_pred/seg_pred"), {"seg_test/seg_test": "test", "seg_train/seg_train": "train"}),
        (("train/cat", "train/dog", "test"), {"train": "train"}),
        (("train/cat", "train/dog", "test/unknown"), {"train": "train"}),
        (("train/cat", "train/dog", "test/cat", "test/dog", "annotations/a.xml"), {"test": "test", "train": "train"}),
        (("images/cat", "images/dog", "annotations/a.xml"), {"images": "train"}),
        (("cat/indoor", "cat/outdoor", "dog"), {".": "train"}),
        (("cat/misc", "dog/misc"), {".": "train"}),
        (("valid", "invalid"), {".": "train"}),
        (("train/images/cat", "train/images/dog", "test/images/cat", "test/images/dog"), {
            "test/images": "test", "train/images": "train"}),
        (("train/cat", "train/dog", "test/"), {"train": "train"}),
        (("train", "plane", "car"), {".": "train"}),
        (("cat", "dog", "__MACOSX/cat", "@eaDir", "lost+found/"), {".": "train"}),
    ],
)  # fmt: skip
def test_structure_decides(tmp_path: Path, folders: Sequence[str], expected: dict[str, str]) -> None:
    assert parts(make(tmp_path, *folders)) == expected


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"), r"'fold1' and 'fold2' can be read as splits with the "
         r"classes 'cat' and 'dog', or as classes .* --set 'data.splits=.train = .fold1., test = .fold2..'"),
        (("cat/indoor", "cat/outdoor", "dog/indoor", "dog/outdoor"), r"for classes, --set data.splits=none"),
        (("train/cat", "train/dog", "extra/cat", "extra/dog"), r"'extra' does not say which; .* test = .extra."),
        (("train/steam", "train/diesel", "plane"), r"'plane' does not say which"),
        (("train", "test"), r"'test' and 'train' are called like splits, and hold no class folders in common"),
        (("train", "test", "sample"), r"'test' and 'train' are called like splits"),
        (("images/train", "images/val", "labels/train/a.txt"), r"'train' and 'val' are called like splits"),
        (("test/cat", "test/dog", "val/cat", "val/dog"), r"none of them trains"),
        (("train/cat", "train/dog", "test/bus", "test/car"), r"'test' and the training split share no class"),
        (("cat/train", "cat/val", "dog/train", "dog/val"), r"splits are the outer folders .* as in val/cat"),
        (("bin/x/a.so", "bin/y/b.so", "lib/x/c.so", "lib/y/d.so"), r"'bin' and 'lib' hold other files than images"),
        (("a/train/cat", "a/test/cat", "b/train/cat", "b/test/cat"), r"splits of their own .* as in folder:.*/a"),
    ],
)  # fmt: skip
def test_doubt_is_refused_with_both_readings(tmp_path: Path, folders: Sequence[str], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        folder_layout.find(make(tmp_path, *folders))


def test_the_recipe_decides_in_doubt(tmp_path: Path) -> None:
    make(tmp_path, *(f"wrapper/fold{number}/{kind}" for number in range(1, 5) for kind in ("cat", "dog")))
    found = folder_layout.find(tmp_path, {"train": ["fold1", "fold2"], "test": ["fold4"]})
    assert list(found.parts.values()) == ["train", "train", "test"]
    assert found.notes[-1] == "'fold3' left out: not in data.splits"
    assert folder_layout.find(tmp_path / "wrapper", "none").parts == {tmp_path / "wrapper": "train"}
    elsewhere = make(tmp_path / "elsewhere", "cat", "dog")
    found = folder_layout.find(tmp_path / "wrapper", {"train": ["fold1"], "test": [str(elsewhere)]})
    assert found.parts[elsewhere] == "test"
    assert "test from ../elsewhere" in found.notes[0]
    with pytest.raises(LayoutError, match=r"names 'fold9' as test, which is no folder; did you mean 'fold[1-4]'"):
        folder_layout.find(tmp_path / "wrapper", {"train": ["fold1"], "test": ["fold9"]})
    with pytest.raises(LayoutError, match="names 'fold1' twice"):
        folder_layout.find(tmp_path / "wrapper", {"train": ["fold1"], "test": ["fold1"]})


def test_what_was_decided_is_told(tmp_path: Path) -> None:
    make(tmp_path, "data/Train/cat", "data/Train/dog", "data/Val/cat", "data/Val/dog", "data/Test", "data/docs/a.txt")
    assert folder_layout.find(tmp_path).notes == (
        "splits by folder: train from data/Train, validation from data/Val, test drawn from the training split",
        "'Test' left out: images without labels",
        "'docs' left out: no images in there",
    )


def test_roles_of_names() -> None:
    assert [find_role(name) for name in ("valley", "contest", "trainers", "train_test", "été", "")] == [None] * 6
    assert find_role("test tube") == "test"
    assert find_role("test tube", strict=True) is None
