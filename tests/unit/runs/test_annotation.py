"""Tags and notes: they last beside the run, whoever changes them at once, and wrong ones are refused."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ftapp.common.errors import RunError
from ftapp.runs import annotation
from ftapp.runs.annotation import NOTHING, Annotations


def test_tags_are_added_once_in_order_and_removed(tmp_path: Path) -> None:
    assert annotation.load(tmp_path) == NOTHING
    annotation.change(tmp_path, add=["night", "lr-1e-4"], note="  two\nlines ")
    annotation.change(tmp_path, add=["night", "größer"], remove=["lr-1e-4"])
    assert annotation.load(tmp_path) == Annotations(tags=("night", "größer"), note="two\nlines")
    annotation.change(tmp_path, remove=["night", "größer"], note="")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tag", ["", "two words", "-x", "a,b", "x" * 41, "a\x1b", "é\n"])
def test_what_is_no_tag_is_refused_and_changes_nothing(tag: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a tag; a tag is one word"):
        annotation.change(tmp_path, add=["fine", tag])
    assert annotation.load(tmp_path) == NOTHING


def test_a_tag_that_is_not_there_is_not_removed(tmp_path: Path) -> None:
    annotation.change(tmp_path, add=["night"])
    with pytest.raises(RunError, match="no tag 'nigth' to remove; its tags are night"):
        annotation.change(tmp_path, remove=["nigth"])
    with pytest.raises(RunError, match="the note has the character"):
        annotation.change(tmp_path, note="\x1b[31m")
    with pytest.raises(RunError, match="has 2,001 characters; a note has at most 2,000"):
        annotation.change(tmp_path, note="x" * 2001)


def test_a_damaged_file_holds_nothing_and_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / annotation.FILE
    for content in (b"", b"{", b'{"tags": 3}', b"\xff" * 100):
        file.write_bytes(content)
        assert annotation.load(tmp_path) == NOTHING
    file.write_bytes(b'{"tags": ["a\\u001b", "fine"]}')
    assert annotation.load(tmp_path).tags == ("fine",)
    annotation.change(tmp_path, add=["more"])
    assert annotation.load(tmp_path).tags == ("fine", "more")


def test_changes_at_the_same_time_all_last(tmp_path: Path) -> None:
    names = [f"t{number}" for number in range(24)]
    threads = [threading.Thread(target=annotation.change, args=(tmp_path,), kwargs={"add": [name]}) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(annotation.load(tmp_path).tags) == sorted(names)
