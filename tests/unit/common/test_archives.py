"""Archives of packages: safe members alone are unpacked, damage is found, and faults end in a sentence."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ftapp.common import archives, cache_folders, downloads, user_folders
from ftapp.common.errors import RunError
from ftapp.common.package_uri import Artifact
from tests.support.package_index import SDIST, WHEEL, Index, cached, sdist, wheel


def record(members: dict[str, bytes]) -> dict[str, bytes]:
    """Members with the list of their sha256 that a wheel has."""
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')},{len(content)}"
        for name, content in members.items()
    ]
    return members | {"tiny_data-1.0.dist-info/RECORD": "\n".join(lines).encode()}


def damage_entry(folder: Path, damage: str) -> None:
    """Damage the unpacked files `a` and `b` in one of `DAMAGES`."""
    if damage in ("flipped", "another list"):
        (folder / "a").write_bytes(b"x")
        if damage == "another list":
            cache_folders.write_manifest(folder.parent)
    elif damage == "truncated":
        (folder / "a").write_bytes(b"")
    elif damage == "one too many":
        (folder / "tokenizer.json").write_text("{}")
    elif damage in ("missing", "a link", "a folder"):
        (folder / "a").unlink()
        if damage == "a link":
            (folder / "a").symlink_to("/etc/hostname")
        elif damage == "a folder":
            (folder / "a").mkdir()
    else:
        shutil.rmtree(folder.parent)
        if damage == "a file":
            folder.parent.write_text("")


DAMAGES = (
    "flipped",
    "truncated",
    "missing",
    "one too many",
    "a link",
    "a folder",
    "another list",
    "all gone",
    "a file",
)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pack", ["wheel", "wheel without a list", "sdist"])
def test_a_damaged_entry_is_unpacked_again(
    index: Index, pack: str, damage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    members = {"data/a": b"a", "data/b": b"b"}
    name, content = {
        "wheel": (WHEEL, wheel(record(members))),
        "wheel without a list": (WHEEL, wheel(members)),
        "sdist": (SDIST, sdist(members)),
    }[pack]
    spec = Artifact(name, "data", index.add(name, content))
    folder = downloads.fetch_artifact(spec)
    damage_entry(folder, damage)
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert downloads.fetch_artifact(spec) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"a", "b": b"b"}
    assert ("made again" in caplog.text) is (damage != "all gone")
    assert index.downloads == 1
    assert len(cached()) == 2  # the archive and what was unpacked


def test_a_list_that_contradicts_its_wheel_does_no_harm(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    listed = record({"data/a": b"another"})
    spec = Artifact(WHEEL, "data", index.add(WHEEL, wheel(listed | {"data/a": b"a"})))
    for _ in range(2):
        assert (downloads.fetch_artifact(spec) / "a").read_bytes() == b"a"
    assert caplog.text == ""


@pytest.mark.parametrize(("name", "pack"), [(WHEEL, wheel), (SDIST, sdist)])
def test_unsafe_members_are_refused(index: Index, name: str, pack: Callable[..., bytes]) -> None:
    digest = index.add(name, pack({"data/../data/../../escape": b"x", "data/a": b"a"}, link="data/link"))
    with pytest.raises(RunError, match="only plain files"):
        downloads.fetch_artifact(Artifact(name, "data", digest))
    with pytest.raises(RunError, match="there is no"):
        downloads.fetch_artifact(Artifact(name, "escape", digest))
    assert downloads.fetch_artifact(Artifact(name, "data/a", digest)).read_bytes() == b"a"


@pytest.mark.parametrize(("name", "pack"), [(WHEEL, wheel), (SDIST, sdist)])
def test_more_than_the_limit_is_not_unpacked(name: str, pack: Callable[..., bytes], tmp_path: Path) -> None:
    archive, folder = tmp_path / name, tmp_path / "folder"
    archive.write_bytes(pack({"big/a": b"a" * 6, "big/b": b"b" * 6}))
    spec = Artifact(name, "big", "0" * 64)
    with pytest.raises(RunError, match="at most"):
        archives.unpack(archive, spec, folder, limit=10)
    archives.unpack(archive, spec, folder)
    assert (folder / "big" / "b").read_bytes() == b"b" * 6


def patched(archive: bytes, at: int, value: int) -> bytes:
    """A zip file with two bytes of its directory changed, counted from the beginning of its first entry."""
    start = archive.index(b"PK\1\2") + at
    return archive[:start] + value.to_bytes(2, "little") + archive[start + 2 :]


def deflated(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/a", content)
    return buffer.getvalue()


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data/a", b"a")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("data/a", b"b")
    return buffer.getvalue()


FAULTS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "encrypted": (WHEEL, lambda: patched(wheel({"data/a": b"a"}), 8, 1), "'data/a' in .* is encrypted"),
    "unknown compression": (WHEEL, lambda: patched(wheel({"data/a": b"a"}), 10, 99), "compression .* not supported"),
    "a damaged stream": (
        WHEEL,
        lambda: deflated(os.urandom(900)).replace(b"data/a", b"data/a\xff", 1),
        "cannot be read",
    ),
    "deep in a zip": (WHEEL, lambda: wheel({"data/" + "x/" * 5000 + "a": b"a"}), "a path of 10,006 bytes"),
    "deep in a tar": (SDIST, lambda: sdist({"data/" + "x/" * 5000 + "a": b"a"}), "a path of 10,006 bytes"),
    "a long name": (SDIST, lambda: sdist({"data/" + "x" * 300: b"a"}), "which no file can have"),
    "out of the folder": (WHEEL, lambda: wheel({"data/../data/a": b"a"}), "leads out of its folder"),
    "out of the folder in a tar": (SDIST, lambda: sdist({"data/../data/a": b"a"}), "leads out of its folder"),
    "a backslash": (WHEEL, lambda: wheel({"data/..\\..\\a": b"a"}), "leads out of its folder"),
    "twice": (WHEEL, twice, "holds 'data/a' twice"),
    "a long story": (WHEEL, lambda: wheel({f"{'y' * 900}{number}": b"" for number in range(30)}), "there is no 'data'"),
    "no members": (WHEEL, lambda: wheel({}), "there is no 'data'"),
    "an empty file": (SDIST, lambda: b"", "cannot be read"),
    "bytes of a gzip file": (SDIST, lambda: b"\x1f\x8b\x08" + os.urandom(400), "cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_archive_ends_in_a_sentence(index: Index, fault: str) -> None:
    name, make, message = FAULTS[fault]
    digest = index.add(name, make())
    with pytest.raises(RunError, match=message) as caught:
        downloads.fetch_artifact(Artifact(name, "data", digest))
    assert len(str(caught.value)) < 1000
    assert len(str(caught.value).splitlines()) == 1
    assert not list((user_folders.cache() / "artifacts").glob("*[!k]"))  # nothing but a lock


def test_errors_of_an_archive(index: Index) -> None:
    digest = index.add(WHEEL, wheel({"data/reviews.csv": b"a"}))
    with pytest.raises(RunError, match=r"did you mean 'data/reviews\.csv'"):
        downloads.fetch_artifact(Artifact(WHEEL, "data/review.csv", digest))
    digest = index.add(WHEEL, b"no archive at all")
    with pytest.raises(RunError, match="cannot be read"):
        downloads.fetch_artifact(Artifact(WHEEL, "a", digest))
    digest = index.add(SDIST, sdist({"a": os.urandom(5000)})[:3000])
    with pytest.raises(RunError, match="cannot be read"):
        downloads.fetch_artifact(Artifact(SDIST, "a", digest))
