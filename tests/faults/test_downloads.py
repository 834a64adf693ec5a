"""Downloads that are cut or find no room: nothing of them stays in the cache, and the next one is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.common import downloads, user_folders
from ftapp.common.errors import HubError, RunError
from ftapp.common.package_uri import Artifact
from tests.faults.conftest import DISK_SIZE
from tests.support.package_index import WHEEL, Index, cached, wheel
from tests.unit.common.conftest import index as index


def test_a_book_of_which_the_server_sends_a_part_is_not_kept(index: Index) -> None:
    """No hash of it is known at first, so only its length tells."""
    content = b"once upon a time " * 10_000
    index.add("book.txt", content)
    address = f"{index.address}/files/book.txt"
    index.drops = 3
    with pytest.raises(HubError, match="it broke or refused the connection"):
        downloads.fetch_url(address, "book.txt")
    assert [path for path in (user_folders.cache() / "books").iterdir() if path.suffix != ".lock"] == []
    index.drops = 1
    assert downloads.fetch_url(address, "book.txt").read_bytes() == content


def test_a_download_without_room_leaves_nothing(index: Index, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_CACHE", str(disk / "cache"))
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 200_000})))
    (disk / "filler").write_bytes(bytes(DISK_SIZE - 100 * 1024))
    with pytest.raises(RunError, match=r"cannot be written: No space left on device, so tiny_data-1\.0-py3"):
        downloads.fetch_artifact(spec)
    assert cached() == []
    (disk / "filler").unlink()
    assert downloads.fetch_artifact(spec).stat().st_size == 200_000
