"""A cache that belongs to another user: it is read, and where it cannot be written the run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ftapp.common import cache_folders
from ftapp.freezing import feature_cache
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore

COLUMNS = (FeatureColumn("pooled", (3,), False, "float32"),)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a process of another user")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of root's with an entry of features and a folder that was made once, which all may read."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("FTAPP_CACHE", str(folder))
    with feature_cache.open_entry("entry", "a label") as place:
        FeatureStore(place, COLUMNS).append([b"a" * 16], [0], {"pooled": np.ones((1, 3), np.float32)}, 0.5)
    made = folder / "converted" / "one"

    def fill(content: Path) -> None:
        (content / "weights").write_text("w")
        cache_folders.write_manifest(content)

    cache_folders.make(made, "one", lambda: cache_folders.matches_manifest(made), fill)
    yield folder
    shutil.rmtree(folder)


def as_nobody(code: str) -> str:
    """What a process prints that becomes another user once it has imported what it needs."""
    prelude = """
import os, numpy, platformdirs
from ftapp.freezing import feature_cache
from ftapp.common import cache_folders
from ftapp.common import user_folders
from ftapp.freezing.feature_files import FeatureColumn, FeatureStore
numpy.ones(3), feature_cache.folder()
os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""
    command = [sys.executable, "-P", "-c", prelude + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


READS = """
with feature_cache.open_entry("entry", "a label") as place:
    store = FeatureStore(place, (FeatureColumn("pooled", (3,), False, "float32"),))
    values, absent = store.read([b"a" * 16], None)
    print(values["pooled"].tolist(), absent, bool(store.unwritable))
    is_locked = (place.parent / "entry.filled").exists()
    with feature_cache.lock_for_writing(place) if is_locked else feature_cache.open_entry("entry", ""):
        pass
(entry,) = feature_cache.list_entries()
print(entry.label, feature_cache.remove(entry))
folder = user_folders.cache() / "converted" / "one"
cache_folders.make(folder, "one", lambda: cache_folders.matches_manifest(folder), print)
print((folder / "weights").read_text())
"""


@pytest.mark.parametrize("has_locks", [True, False])
def test_another_users_cache_is_read(shared: Path, has_locks: bool) -> None:
    if not has_locks:
        for lock in (*shared.glob("*/*.lock"), *shared.glob("*/*.used")):
            lock.unlink()
    assert as_nobody(READS).splitlines() == ["[[1.0, 1.0, 1.0]] [] True", "a label False", "w"]
    assert (shared / "features" / "entry" / "pooled").stat().st_size == 12


def test_a_folder_that_cannot_be_written_is_said(shared: Path) -> None:
    code = """
try:
    with feature_cache.open_entry("another", "a label"):
        print("made")
except OSError as error:
    print(error.strerror)
folder = user_folders.cache() / "converted" / "two"
try:
    cache_folders.make(folder, "two", lambda: False, print)
except cache_folders.UnwritableError as error:
    print(error)
"""
    reason = f"{shared}/converted cannot be written: Permission denied, so two cannot be kept there"
    assert as_nobody(code).splitlines() == ["Permission denied", f"{reason} (FTAPP_CACHE names another folder)"]


def test_users_of_one_group_share_what_the_umask_gives_them(shared: Path) -> None:
    (shared / "features").chmod(0o777)
    code = """
os.umask(0)
with feature_cache.open_entry("theirs", "a label") as place, feature_cache.lock_for_writing(place):
    store = FeatureStore(place, (FeatureColumn("pooled", (3,), False, "float32"),))
    store.append([b"b" * 16], [0], {"pooled": numpy.ones((1, 3), "float32")}, 0.5)
"""
    as_nobody(code)
    place = shared / "features" / "theirs"
    assert {oct(path.stat().st_mode & 0o777) for path in place.iterdir()} == {"0o666"}
    assert place.stat().st_mode & 0o777 == 0o777
    assert place.with_suffix(".used").stat().st_mode & 0o777 == 0o666
