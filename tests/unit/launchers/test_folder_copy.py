"""Copies of a run's folder: what arrives, in which order, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ftapp.launchers.folder_copy import apply_changes, is_command_log, is_of_run, list_marks, read_changes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A run's folder with two checkpoints."""
    folder = tmp_path / "source"
    for step in (9, 10):
        checkpoint = folder / "checkpoints" / f"state-{step:08}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights.safetensors").write_bytes(os.urandom(130))
        (checkpoint / ".ftapp-manifest.json").write_bytes(os.urandom(20))
    (folder / "events.jsonl").write_bytes(b"event\n" * 30)
    (folder / "status.json").write_bytes(b"{}")
    (folder / "control.jsonl").write_bytes(b"\n")
    return folder


def update(source: Path, copy: Path, limit: int = 50) -> list[set[str]]:
    """Update a copy by small pieces, and return what of the source was in place after each."""
    found = []
    while changes := read_changes(source, list_marks(copy), limit=limit):
        apply_changes(copy, changes)
        apply_changes(copy, changes)  # it may come twice, where an answer is lost
        found.append({path for path, mark in list_marks(copy).items() if mark.is_in_place})
        assert len(found) < 100, changes
    return found


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_has_the_newest_checkpoint_first_and_each_as_a_whole(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    seen = update(source, copy)
    assert read_tree(copy) == read_tree(source)
    counts = [len([path for path in found if path.startswith("checkpoints/")]) for found in seen]
    assert set(counts) == {0, 2, 4}
    newest = seen[counts.index(2)]
    assert {path for path in newest if path.startswith("checkpoints/")} == {
        "checkpoints/state-00000010/.ftapp-manifest.json",
        "checkpoints/state-00000010/weights.safetensors",
    }
    assert {"events.jsonl", "status.json"} <= newest
    assert update(source, copy) == [], "it has all"


def test_a_log_grows_in_its_place_and_one_that_was_cut_is_another_file(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    update(source, copy)
    log, former = copy / "events.jsonl", (copy / "events.jsonl").stat().st_ino
    with (source / "events.jsonl").open("ab") as file:
        file.write(b"more\n")
    update(source, copy)
    assert log.stat().st_ino == former
    (source / "new").write_bytes(b"event\n" * 20 + b"else\n" * 100)
    (source / "new").rename(source / "events.jsonl")
    update(source, copy)
    assert log.stat().st_ino != former, "whoever follows it begins anew"
    assert read_tree(copy) == read_tree(source)


def test_a_checkpoint_that_is_gone_is_removed_and_what_users_have_made_stays(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    update(source, copy)
    (copy / "report.html").write_text("mine")
    (copy / "annotations.json").write_text("mine")
    (copy / "leases").mkdir()
    old = source / "checkpoints" / "state-00000009"
    for path in old.iterdir():
        path.unlink()
    old.rmdir()
    update(source, copy)
    assert not (copy / "checkpoints" / "state-00000009").exists()
    assert (copy / "report.html").exists()
    assert (copy / "annotations.json").exists()
    assert (copy / "leases").exists()


def test_commands_and_results_go_in_opposite_directions(source: Path) -> None:
    paths = set(list_marks(source))
    assert [path for path in paths if is_command_log(path)] == ["control.jsonl"]
    assert {path for path in paths if is_of_run(path)} == paths - {"control.jsonl"}


def test_a_copy_on_a_disk_that_keeps_whole_seconds_has_all(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_times = os.utime
    monkeypatch.setattr(os, "utime", lambda path, ns: set_times(path, ns=tuple(time // 10**9 * 10**9 for time in ns)))
    update(source, tmp_path / "copy")
    assert update(source, tmp_path / "copy") == []
    os.utime(source / "status.json", ns=(0, 0))
    assert update(source, tmp_path / "copy") != []
