"""The cache's quota and locks: what is removed, in which order, and what is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ftapp.common.errors import RunError
from ftapp.freezing import feature_cache

MIB = 2**20


def make(key: str, mib: int, used: float) -> None:
    with feature_cache.open_entry(key, f"label of {key}") as folder:
        (folder / "features").write_bytes(b"x" * mib * MIB)
    os.utime(folder / "description.json", (used, used))


def keys() -> list[str]:
    return [entry.folder.name for entry in feature_cache.list_entries()]


def test_entries_are_listed_with_the_one_used_last_first() -> None:
    make("a", 1, 100)
    make("b", 2, 200)
    found = feature_cache.list_entries()
    assert [entry.label for entry in found] == ["label of b", "label of a"]
    assert 2 * MIB <= found[0].size < 2.1 * MIB
    with feature_cache.open_entry("a", "label of a"):
        assert keys() == ["a", "b"]


def test_what_was_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_FEATURES_GIB", str(6 / 1024))
    for number, key in enumerate("abc"):
        make(key, 2, 100 + number)
    assert feature_cache.make_room(3 * MIB) is None
    assert keys() == ["c"]
    assert feature_cache.make_room(MIB) is None
    assert keys() == ["c"]


def test_what_is_larger_than_the_quota_is_declined_and_nothing_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    make("a", 1, 100)
    monkeypatch.setenv("FTAPP_FEATURES_GIB", str(2 / 1024))
    reason = feature_cache.make_room(3 * MIB)
    assert reason is not None
    assert "the quota is 2.0 MiB (FTAPP_FEATURES_GIB)" in reason
    assert keys() == ["a"]


def test_an_entry_that_is_there_already_needs_no_room_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_FEATURES_GIB", str(6 / 1024))
    make("a", 2, 100)
    make("b", 3, 200)
    assert feature_cache.make_room(2 * MIB, feature_cache.folder() / "a") is None
    assert keys() == ["b", "a"]
    assert feature_cache.make_room(4 * MIB, feature_cache.folder() / "a") is None
    assert keys() == ["a"]


def test_what_a_run_uses_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_FEATURES_GIB", str(4 / 1024))
    make("a", 2, 100)
    make("b", 1, 200)
    with feature_cache.open_entry("a", "label of a"):
        assert feature_cache.make_room(3 * MIB) == "the features need 3.0 MiB, and other runs use what the quota allows"
        assert not feature_cache.remove(feature_cache.list_entries()[0])
        assert keys() == ["a"]
    assert feature_cache.make_room(3 * MIB) is None
    assert keys() == []


def test_what_the_disk_cannot_hold_is_declined_before_anything_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    make("a", 2, 100)
    usage = shutil.disk_usage(feature_cache.folder())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5 * MIB))
    reason = feature_cache.make_room(9 * MIB)
    assert reason is not None
    assert reason.startswith("the features need 9.0 MiB, and 5.0 MiB are free in ")
    assert keys() == ["a"]
    assert feature_cache.make_room(6 * MIB) is not None  # the disk of this test never gets more room
    assert keys() == []


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = """
import os
from ftapp.freezing import feature_cache
with feature_cache.open_entry("a", "x") as folder, feature_cache.lock_for_writing(folder):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (entry,) = feature_cache.list_entries()
    with feature_cache.lock_for_writing(entry.folder):
        pass
    assert feature_cache.remove(entry)


@pytest.mark.parametrize("given", ["many", "-1", "inf"])
def test_a_quota_is_a_number(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("FTAPP_FEATURES_GIB", given)
    with pytest.raises(RunError, match=f"FTAPP_FEATURES_GIB = '{given}' is no number of GiB"):
        feature_cache.read_quota()


def test_a_folder_that_is_no_entry_is_passed_over(tmp_path: Path) -> None:
    make("a", 1, 100)
    (feature_cache.folder() / "notes").write_text("no entry")
    assert keys() == ["a"]


@pytest.mark.parametrize("content", [b"{", b"", b"\0" * 90, b"\xff\xfe", b"[1]", b"1" * 9000, b"[" * 100_000, None])
def test_an_entry_with_a_damaged_description_counts_and_can_be_removed(content: bytes | None) -> None:
    make("a", 1, 100)
    description = feature_cache.folder() / "a" / "description.json"
    description.unlink()
    if content is None:
        description.mkdir()
    else:
        description.write_bytes(content)
    (entry,) = feature_cache.list_entries()
    assert entry.label == "an entry without a description (a)"
    assert entry.size >= MIB
    assert feature_cache.remove(entry)
    with feature_cache.open_entry("a", "label of a"):
        assert [each.label for each in feature_cache.list_entries()] == ["label of a"]
