"""Small kept results: each damage of the file leaves nothing, and none is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ftapp.common import cache_files, safe_files
from ftapp.tui.settings import Settings

# What a file may hold after an accident.
CONTENTS = [b"", b"{", b"[]", b"null", b"\xff\xfe", bytes(200), b"[" * 100_000, b"1" * 9000, b'{"theme": 1e999}']


def test_each_flipped_byte_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "folder" / "a"
    cache_files.keep(path, b"a result\nof two lines")
    assert cache_files.load(path) == b"a result\nof two lines"
    assert caplog.text == ""
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert cache_files.load(path) is None
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert cache_files.load(path) is None
    assert caplog.text.count("computed again") == 2 * len(content)


def test_a_result_may_be_larger_than_the_files_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_files, "LARGEST", 100)
    content = bytes(1000)
    cache_files.keep(tmp_path / "kept", content)
    assert cache_files.load(tmp_path / "kept") == content


def test_what_cannot_be_written_or_read_is_no_error(tmp_path: Path) -> None:
    assert cache_files.load(tmp_path / "absent") is None
    (tmp_path / "file").write_text("")
    cache_files.keep(tmp_path / "file" / "a", b"a")
    assert cache_files.load(tmp_path / "file" / "a") is None
    os.mkfifo(tmp_path / "pipe")
    assert cache_files.load(tmp_path / "pipe") is None


@pytest.mark.parametrize("content", CONTENTS)
def test_damaged_settings_are_the_first_ones(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path))
    file = tmp_path / "interface.json"
    file.write_bytes(content)
    assert Settings.load() == Settings()
    file.unlink()
    file.mkdir()
    assert Settings.load() == Settings()
    Settings(theme="x").save()
    file.rmdir()
    os.mkfifo(file)
    assert Settings.load() == Settings()
