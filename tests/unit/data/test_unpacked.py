"""Archives of image folders: read as the folders that they hold, or refused."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ftapp import data
from ftapp.common import archives, user_folders
from ftapp.common.errors import RecipeError
from ftapp.data import folder
from ftapp.recipe import sources
from tests.support.images import noise, problems, spec, write


def pack(pets: Path, name: str) -> Path:
    kinds = {".zip": "zip", ".tar": "tar", ".tar.gz": "gztar", ".tar.xz": "xztar"}
    kind = next(kind for suffix, kind in kinds.items() if name.endswith(suffix))
    made = Path(shutil.make_archive(str(pets.parent / "made"), kind, pets.parent, pets.name))
    return made.rename(pets.parent / name)


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz", "Pets.TAR.XZ".lower()])
def test_an_archive_is_read_as_the_folder_in_it(pets: Path, name: str) -> None:
    whole = data.load(spec(f"folder:{pets}"), "image-classification", 0)
    archive = pack(pets, name)
    shutil.rmtree(pets)
    assert sources.resolve(f"folder:{archive}") == f"folder:{archive}"
    messages: list[str] = []
    for _ in range(2):
        splits = data.load(
            spec(f"folder:{archive}"), "image-classification", 0, lambda label, done, total: messages.append(label)
        )
        assert splits.classes == whole.classes
        assert [splits.test.examples.locate(int(at)) for at in splits.test.indices] == [
            whole.test.examples.locate(int(at)) for at in whole.test.indices
        ]
    assert messages.count(f"unpacking {name}") == 1


def test_a_damaged_copy_in_the_cache_is_unpacked_again(pets: Path) -> None:
    source = f"folder:{pack(pets, 'pets.zip')}"
    data.load(spec(source), "image-classification", 0)
    next((user_folders.cache() / "unpacked").rglob("*.png")).write_bytes(b"")
    assert len(data.load(spec(source), "image-classification", 0).train) == 14


def test_problems_name_the_files_of_the_archive(pets: Path) -> None:
    (pets / "cat" / "01.png").write_bytes(b"")
    archive = pack(pets, "pets.zip")
    (found,) = problems(archive)
    assert found.startswith(f"{archive}/pets/cat/01.png: data.source: this image cannot be decoded")
    splits = data.load(spec(f"folder:{archive}", skip_broken=True), "image-classification", 0)
    assert splits.notes[-1].endswith("left out that cannot be decoded: cat/01.png")


def test_another_archive_of_the_same_name_is_another_folder(pets: Path) -> None:
    archive = pack(pets, "pets.zip")
    before = data.load(spec(f"folder:{archive}"), "image-classification", 0)
    write(pets / "cow" / "1.png", noise(90))
    write(pets / "cow" / "2.png", noise(91))
    after = data.load(spec(f"folder:{pack(pets, 'pets.zip')}"), "image-classification", 0)
    assert (before.classes, after.classes) == (("cat", "dog"), ("cat", "cow", "dog"))


def tar_with(entry: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return file.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return made


def zip_with(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.tar.gz", lambda: tar_with(entry("../../evil")), "has a path that leads out of its folder"),
        ("a.tar.gz", lambda: tar_with(entry("/etc/evil")), "has a path that leads out of its folder"),
        ("a.zip", lambda: zip_with("cat/../../evil"), "has a path that leads out of its folder"),
        ("a.tar.gz", lambda: tar_with(entry("cat/a", tarfile.SYMTYPE)), "is a link or a device"),
        ("a.tar.gz", lambda: tar_with(entry("cat/a", tarfile.LNKTYPE)), "is a link or a device"),
        ("a.tar.gz", lambda: tar_with(entry("cat/a", tarfile.FIFOTYPE)), "is a link or a device"),
        ("a.tar.gz", lambda: tar_with(entry("cat/a", size=9000)), "has more than"),
        ("a.tar.gz", lambda: tar_with(entry("cat/a"))[:40], "cannot be read"),
        ("a.tar", lambda: tar_with(entry("cat/a")), "only the folder 'cat'"),
        ("a.zip", lambda: b"no archive", "cannot be read"),
        ("a.zip", lambda: b"", "cannot be read"),
        ("a.zip", lambda: zip_with("cat/"), "there are no files in a.zip"),
    ],
)
def test_unsafe_and_damaged_archives_are_refused(
    tmp_path: Path, name: str, make: Callable[[], bytes], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives.unpack, "__defaults__", (5000,))
    archive = tmp_path / name
    archive.write_bytes(make())
    (found,) = problems(archive)
    assert found.startswith(f"{archive}")
    assert message in found
    assert len(found.splitlines()) == 1
    assert not list(tmp_path.rglob("evil"))
    assert not os.path.lexists("/etc/evil")


def test_a_tar_that_ends_in_a_zip_is_a_tar(pets: Path) -> None:
    (pets / "dog" / "zz.zip").write_bytes(zip_with("a"))
    assert "zz.zip: data.source: this is no image" in problems(pack(pets, "pets.tar"))[0]


def test_the_check_before_a_run_unpacks_a_small_archive(pets: Path, tmp_path: Path) -> None:
    shutil.rmtree(pets / "cat")
    archive = pack(pets, "pets.zip")
    with pytest.raises(RecipeError, match="only the folder 'dog'"):
        folder.check(spec(f"folder:{archive}"), sources.parse(f"folder:{archive}"), "image-classification")


@pytest.mark.parametrize("name", ["books.zip", "books.tar.gz"])
def test_an_archive_of_plain_texts_is_their_folder(tmp_path: Path, name: str) -> None:
    for number in range(30):
        write_text(tmp_path / "books" / f"{number}.txt", f"chapter {number} " * 9)
    write_text(tmp_path / "books" / "notes.md", "about")
    whole = data.load_documents(spec(f"text:{tmp_path}/books"), 0)
    packed = data.load_documents(spec(f"text:{pack(tmp_path / 'books', name)}"), 0)
    assert packed == whole
    assert packed.notes == ("1 file ignored that are no .txt: notes.md",)


def test_a_zip_file_with_one_text_is_that_text(tmp_path: Path) -> None:
    write_text(tmp_path / "book" / "novel.md", "A word. " * 400)
    made = data.load_documents(spec(f"text:{pack(tmp_path / 'book', 'book.zip')}"), 0)
    assert sum(text.count("word") for text in (*made.train, *made.validation, *made.test)) == 400


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
