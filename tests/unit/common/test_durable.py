"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ftapp.common.durable import make_folder_in_place, remove_leftovers, replace_file

_KILLED = """
import os, signal, sys
from pathlib import Path
from ftapp.common.durable import make_folder_in_place
with make_folder_in_place(Path(sys.argv[1])) as scratch:
    (scratch / "half").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_leaves_no_scratch(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(b"old")
    replace_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert _names(tmp_path) == ["result.json"]


def test_the_file_behind_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    replace_file(tmp_path / "pipe", b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        replace_file(folder, b"new")
    assert _names(tmp_path) == ["taken"]


def test_a_folder_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "model"
    with make_folder_in_place(folder) as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "weights").write_bytes(b"1")
        assert not folder.exists()
    assert (folder / "inner" / "weights").read_bytes() == b"1"
    assert _names(folder.parent) == ["model"]


def test_a_folder_of_which_the_writing_fails_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), make_folder_in_place(tmp_path / "model") as scratch:
        (scratch / "missing" / "weights").write_bytes(b"1")
    assert _names(tmp_path) == []


def test_a_folder_is_not_put_in_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"first")
    with pytest.raises(OSError, match="model"), make_folder_in_place(tmp_path / "model") as scratch:
        (scratch / "weights").write_bytes(b"second")
    assert (tmp_path / "model" / "weights").read_bytes() == b"first"
    assert _names(tmp_path) == ["model"]


def test_a_killed_process_leaves_a_hidden_scratch_that_the_next_writer_removes(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    killed = subprocess.run([sys.executable, "-c", _KILLED, folder], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = _names(tmp_path)
    assert left.startswith(".")
    with make_folder_in_place(folder), make_folder_in_place(tmp_path / "other"):
        assert not (tmp_path / left).exists()
    assert _names(tmp_path) == ["model", "other"]


def test_a_scratch_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with make_folder_in_place(tmp_path / "first") as scratch:
        aside = scratch.with_name(scratch.name.replace("first", "model"))
        scratch.rename(aside)  # as another process's for the same folder would be called
        with make_folder_in_place(tmp_path / "model"):
            assert aside.exists()
        aside.rename(scratch)


def test_scratches_of_files_are_removed_but_for_those_that_are_being_written(tmp_path: Path) -> None:
    (tmp_path / ".layers.json.0123abcd.tmp").write_bytes(b"half")
    with (tmp_path / ".notes.json.4567cdef.tmp").open("xb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        remove_leftovers(tmp_path)
        assert _names(tmp_path) == [".notes.json.4567cdef.tmp"]


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        replace_file(tmp_path / "pipe", b"x")
