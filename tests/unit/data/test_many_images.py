"""Folders of very many images: compact lists, checks by several processes, and checks that are kept."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftapp import data
from ftapp.data import checked_images, image_check, image_examination, image_workers, images
from ftapp.data.duplicates import drop_duplicates
from ftapp.data.examples import Examples
from ftapp.data.file_list import FileList
from ftapp.data.hashes import Hashes, find_owners, hash_content, stack_hashes
from tests.support.images import encoded, exif, noise, problems, spec, write

_MANY = 100_000


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts the images that this process has checked since the last call; all checks are kept."""
    monkeypatch.setattr(image_check, "_KEPT", 1)
    monkeypatch.setattr(checked_images, "_SETTLED", -(10**9))
    checked: list[Any] = []
    examine = image_examination.examine

    def count(contents: Any, *, whole: bool) -> Any:
        checked.extend(contents)
        return examine(contents, whole=whole)

    monkeypatch.setattr(image_check, "examine", count)

    def take() -> int:
        taken = len(checked)
        checked.clear()
        return taken

    return take


def load(folder: Path) -> list[tuple[str, list[str]]]:
    """The names of the examples of each split, and their labels."""
    splits = data.load(spec(f"folder:{folder}"), "image-classification", 0)
    parts = (splits.train, splits.validation, splits.test)
    return [(str(part.labels.tolist()), [part.locate(at) for at in range(len(part))]) for part in parts]


def test_files_are_listed_as_they_were_added_whatever_their_names() -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    files, more = FileList(), FileList()
    files.append("/a/cat", "1.png")
    more.append("/a/dog", odd)
    more.append("/a/cat", "\u732b.png")
    files.extend(more)
    assert list(files) == [Path("/a/cat/1.png"), Path("/a/dog", odd), Path("/a/cat/\u732b.png")]
    assert files.select([2, 0])[:] == [Path("/a/cat/\u732b.png"), Path("/a/cat/1.png")]
    assert files.describe(0) == "cat/1.png"
    assert "\udce9" not in files.describe(1)
    assert files.find_root() == "/a"


def test_a_list_of_files_takes_few_bytes_for_each() -> None:
    tracemalloc.start()
    files = FileList()
    for number in range(_MANY):
        files.append("/data/pictures/class-01", f"image-{number:07}.jpeg")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * _MANY
    assert files[-1].name == f"image-{_MANY - 1:07}.jpeg"


class _Hashed(Examples):
    """Examples that are hashes alone."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = hashes
        self.labels = np.zeros(len(hashes), np.int32)
        self.classes = ("a",)

    def __getitem__(self, index: int) -> str:
        raise AssertionError("no example is read")

    def digest(self, index: int) -> bytes:
        raise AssertionError("no example is hashed alone")

    def identify_all(self) -> Hashes:
        return self.hashes


def test_duplicates_are_found_without_an_object_for_each_example() -> None:
    hashes = np.random.default_rng(0).integers(0, 256, (_MANY, 16), np.uint8)
    hashes[7] = hashes[3]
    tracemalloc.start()
    distinct = drop_duplicates(_Hashed(hashes), "stop")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(distinct), distinct.duplicates) == (_MANY - 1, 1)
    assert 7 not in distinct.train
    assert peak < 120 * _MANY


def test_of_equal_examples_the_first_of_the_lowest_rank_is_the_owner() -> None:
    hashes = stack_hashes(hash_content(name.encode()) for name in "abacabb")
    assert find_owners(hashes).tolist() == [0, 1, 0, 3, 0, 1, 1]
    ranks = np.array([1, 1, 1, 1, 0, 1, 0])
    assert find_owners(hashes, ranks).tolist() == [4, 6, 4, 3, 4, 6, 6]
    assert find_owners(hashes[:0]).tolist() == []


def test_processes_find_what_one_process_finds(pets: Path, checks: Callable[[], int]) -> None:
    (pets / "dog" / "copy.png").write_bytes((pets / "dog" / "00.png").read_bytes())
    os.link(pets / "cat" / "01.png", os.path.join(os.fsencode(pets / "cat"), b"caf\xe9.png"))  # noqa: PTH118
    alone = load(pets)
    assert checks() == 22
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_check, "_MANY", 1)
        patch.setattr(image_check, "_KEPT", 1000)
        patch.setattr(image_check, "_BY_PROCESS", 5)
        assert load(pets) == alone
        assert checks() == 0
        (pets / "dog" / "00.png").write_bytes(b"GIF89a")
        assert "dog/00.png" in problems(pets)[0]


def test_files_whose_process_dies_are_examined_here(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = load(pets)
    monkeypatch.setattr(image_check, "_MANY", 1)
    monkeypatch.setattr(image_workers, "_MODULE", "ftapp.absent")
    assert load(pets) == alone


def test_only_new_and_changed_images_are_checked_again(pets: Path, checks: Callable[[], int]) -> None:
    first = load(pets)
    assert checks() == 20
    assert load(pets) == first
    assert checks() == 0
    file = pets / "cat" / "01.png"
    times = file.stat()
    file.write_bytes(file.read_bytes()[:-1] + b"?")  # of the same size, and as old as before by its own word
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    write(pets / "cat" / "new.png", noise(99))
    load(pets)
    assert checks() == 2
    file.write_bytes(b"")
    assert "cat/01.png" in problems(pets)[0]
    assert "cat/01.png" in problems(pets)[0]  # what is broken is not kept


def test_the_time_of_a_check_is_that_of_images_that_are_new(pets: Path, checks: Callable[[], int]) -> None:
    reports: list[tuple[str, int, int | None]] = []
    for new in (20, 0, 1):
        with image_check.time_checks() as spent:
            data.load(spec(f"folder:{pets}"), "image-classification", 0, lambda *each: reports.append(each))
        assert (spent.images, checks()) == (new, new)
        assert spent.seconds > 0
        write(pets / "cat" / "new.png", noise(99)) if not new else None
    assert reports[-1] == ("checking new images", 1, 1)


def test_images_are_equal_whichever_way_they_are_decoded(pets: Path) -> None:
    whole = (pets / "cat" / "03.png").read_bytes()
    image = Image.open(pets / "cat" / "03.png")
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)  # of all of its 54 colours
    (pets / "cat" / "as-bmp.png").write_bytes(encoded(image, "BMP"))
    (pets / "cat" / "ends-otherwise.png").write_bytes(whole[:-12])
    (pets / "cat" / "palette.png").write_bytes(encoded(palette, "PNG"))
    photo, turned = Image.fromarray(noise(70, (24, 24))), exif([(0x112, 3, 1, b"\1\0")])
    kinds: list[dict[str, Any]] = [{}, {"exif": turned}, {"comment": b"another header"}, {"dpi": (300, 300)}]
    for number, options in enumerate(kinds):
        (pets / "dog" / f"photo-{number}.jpg").write_bytes(encoded(photo, "JPEG", **options))
    splits = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    assert splits.duplicates == 3 + 3


def test_what_was_checked_before_an_interruption_is_kept(
    pets: Path, checks: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_check, "_BY_THREAD", 5)

    def interrupt(activity: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.load(spec(f"folder:{pets}"), "image-classification", 0, interrupt)
    checks()
    load(pets)
    assert checks() == 15


def test_kept_checks_that_are_damaged_are_made_again(
    pets: Path, checks: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    first = load(pets)
    (kept,) = (tmp_path / "cache" / "checked-images").iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    checks()
    assert load(pets) == first
    assert checks() == 20


def test_images_that_changed_just_now_are_checked_again(
    pets: Path, checks: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_images, "_SETTLED", 10**15)
    load(pets)
    checks()
    load(pets)
    assert checks() == 20


def test_an_image_that_changes_during_a_check_is_checked_again(
    pets: Path, checks: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_images, "_SETTLED", 0)
    file, read = pets / "cat" / "01.png", images.read_content

    def touch_and_read(path: Path) -> Any:
        if path == file:
            time.sleep(0.02)  # longer than a tick of the clock that files get their times from
            os.utime(file)
        return read(path)

    monkeypatch.setattr(images, "read_content", touch_and_read)
    load(pets)
    assert checks() == 20
    load(pets)
    assert checks() == 1


def test_images_may_have_any_time_that_a_file_can_have(pets: Path, checks: Callable[[], int]) -> None:
    os.utime(pets / "cat" / "01.png", (13e9, 13e9))  # in the year 2381, beyond 64 bits of nanoseconds
    os.utime(pets / "dog" / "00.png", (-1e9, -1e9))
    first = load(pets)
    assert checks() == 20
    assert load(pets) == first
    assert checks() == 0
