"""Downloads, against a real package index served on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from ftapp import data
from ftapp.common import downloads, http_requests, package_index, user_folders
from ftapp.common.errors import HubError, NotFoundError, RecipeError, RunError
from ftapp.common.package_uri import Artifact
from ftapp.recipe import Data
from tests.support.package_index import SDIST, WHEEL, Index, cached, sdist, wheel

ALICE = Artifact(
    "brotli-1.2.1.tar.gz",
    "brotli-1.2.1/tests/testdata/alice29.txt",
    "02b2f7b5a83485efe448a44ddf7983def05c3bb1dcf917d4f7154070260e13de",
)


@pytest.mark.parametrize(("name", "pack"), [(WHEEL, wheel), (SDIST, sdist)])
def test_a_file_and_a_folder_arrive_once(index: Index, name: str, pack: Callable[..., bytes]) -> None:
    digest = index.add(name, pack({"data/a.txt": b"a", "data/deep/b.txt": b"", "other.txt": b"no", "database": b"no"}))
    reports: list[tuple[str, int, int | None]] = []
    file = downloads.fetch_artifact(Artifact(name, "data/a.txt", digest), lambda *report: reports.append(report))
    assert file.read_bytes() == b"a"
    kibibytes = -(-len(index.files[name]) // 1024)
    assert reports[-1] == (f"downloading {name}, KiB", kibibytes, kibibytes)
    folder = downloads.fetch_artifact(Artifact(name, "data", digest))
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")) == ["a.txt", "deep/b.txt"]
    before = index.downloads
    assert downloads.fetch_artifact(Artifact(name, "data/a.txt", digest)) == file
    assert index.downloads == before
    assert len(cached()) == 3


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "a folder"])
def test_a_damaged_archive_is_fetched_again(index: Index, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    spec = Artifact(WHEEL, "data", index.add(WHEEL, wheel({"data/a": b"a"})))
    folder = downloads.fetch_artifact(spec)
    (archive,) = user_folders.cache().glob(f"archives/*/{WHEEL}")
    content = archive.read_bytes()
    archive.unlink()
    if damage == "a folder":
        archive.mkdir()
    elif damage != "missing":
        archive.write_bytes(content[:-3] + b"xyz" if damage == "flipped" else content[:50])
    assert (downloads.fetch_artifact(spec) / "a").read_bytes() == b"a"
    assert index.downloads == 2
    assert archive.read_bytes() == content
    assert "made again" in caplog.text
    assert downloads.fetch_artifact(spec) == folder
    assert index.downloads == 2


@pytest.mark.parametrize("listed", [True, False])
def test_another_sha256_is_refused(index: Index, listed: bool) -> None:
    arrived = index.add(WHEEL, wheel({"a": b"a"}))
    if listed:
        index.digests[WHEEL] = arrived
    with pytest.raises(RunError) as caught:
        downloads.fetch_artifact(Artifact(WHEEL, "a", "0" * 64))
    assert "0" * 64 in str(caught.value)
    assert arrived in str(caught.value)
    assert index.downloads == (0 if listed else 1)
    assert cached() == []


def test_transient_failures_are_retried(index: Index) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 200_000})))
    index.failures, index.drops = 2, 2
    assert downloads.fetch_artifact(spec).stat().st_size == 200_000
    assert index.downloads == 3


def test_a_connection_that_keeps_breaking_is_an_error(index: Index) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 200_000})))
    index.drops = 3
    with pytest.raises(RunError, match=r"comes from a package index; 127\.0\.0\.1 cannot be reached"):
        downloads.fetch_artifact(spec)
    assert cached() == []


def test_errors_of_an_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    with pytest.raises(RunError, match=f"did you mean '{WHEEL}'"):
        downloads.fetch_artifact(Artifact("tiny_data-1.1-py3-none-any.whl", "a", digest))
    with pytest.raises(RunError, match="there is no package 'other'"):
        downloads.fetch_artifact(Artifact("other-1.0.tar.gz", "a", digest))
    index.failures = 3
    with pytest.raises(RunError, match="answered 503"):
        downloads.fetch_artifact(Artifact(WHEEL, "a", digest))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.address}/html")
    with pytest.raises(RunError, match="no page of a package index"):
        downloads.fetch_artifact(Artifact(WHEEL, "a", digest))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(RunError, match=r"127\.0\.0\.1 cannot be reached"):
        downloads.fetch_artifact(Artifact(WHEEL, "a", digest))


def test_indexes_without_the_file_are_passed_over(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", f"{empty.as_uri()}\n{index.address}/none")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://127.0.0.1:9/simple {index.address}/simple")
    assert downloads.fetch_artifact(Artifact(WHEEL, "a", digest)).read_bytes() == b"a"


def test_an_index_in_a_folder(index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = tmp_path / "an index" / "tiny-data"
    project.mkdir(parents=True)
    content = wheel({"a": b"a"})
    (project / WHEEL).write_bytes(content)
    (project / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", project.parent.as_uri())
    assert downloads.fetch_artifact(Artifact(WHEEL, "a", hashlib.sha256(content).hexdigest())).read_bytes() == b"a"


def test_the_password_of_an_index_stays_with_its_host(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.address.replace('//', '//user:secret@')}/simple")
    downloads.fetch_artifact(Artifact(WHEEL, "a", digest))
    assert all(authorization for _, authorization in index.requests)
    elsewhere = package_index.resolve_beside(
        http_requests.Remote("http://user:secret@127.0.0.1/simple"), "http://localhost/files/a"
    )
    assert elsewhere.auth is None
    with pytest.raises(RunError) as caught:
        downloads.fetch_artifact(Artifact("other-1.0.tar.gz", "a", "0" * 64))
    assert "secret" not in str(caught.value)


def test_offline_uses_the_cache_alone(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a"})))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(RunError, match=f"{WHEEL} is not in .* with --offline everything comes from the cache"):
        downloads.fetch_artifact(spec)
    assert index.requests == []
    monkeypatch.delenv("FTAPP_OFFLINE")
    path = downloads.fetch_artifact(spec)
    asked = len(index.requests)
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert downloads.fetch_artifact(spec) == path
    assert len(index.requests) == asked


def _start(spec: Artifact) -> subprocess.Popen[str]:
    """The same download in a process of its own."""
    code = f"from ftapp.common import downloads, package_uri; print(downloads.fetch_artifact(package_uri.{spec!r}))"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_killed_download_leaves_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", os.devnull)  # so that the child does not ask pip
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": os.urandom(2_000_000)})))
    index.held.clear()
    child = _start(spec)
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size for path in user_folders.cache().glob("archives/.*.tmp/*.whl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert [name for name in cached() if not name.endswith(".tmp")] == []
    index.held.set()
    assert downloads.fetch_artifact(spec).stat().st_size == 2_000_000
    assert len(cached()) == 2  # the archive and what was unpacked


def test_processes_and_threads_at_once_download_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", os.devnull)
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 100_000})))
    index.trickle = 0.05
    children = [_start(spec) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        paths = set(pool.map(lambda _: str(downloads.fetch_artifact(spec)), range(4)))
    paths |= {child.communicate()[0].strip() for child in children}
    assert len(paths) == 1
    assert index.downloads == 1
    assert len(cached()) == 2  # the archive and what was unpacked


def test_a_cache_that_cannot_be_written_is_an_error(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="cannot be written"):
        downloads.fetch_artifact(Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a"}))))


def test_a_url_keeps_the_hash_it_had_at_first(index: Index) -> None:
    index.add("book.txt", b"once upon a time")
    address = f"{index.address}/files/book.txt"
    path = downloads.fetch_url(address, "book.txt")
    assert path == user_folders.cache() / "books" / "book" / "book.txt"
    assert downloads.fetch_url(address, "book.txt").read_bytes() == b"once upon a time"
    assert index.downloads == 1
    path.write_bytes(b"once")
    assert downloads.fetch_url(address, "book.txt").read_bytes() == b"once upon a time"
    path.write_bytes(b"once")
    index.add("book.txt", b"another edition")
    with pytest.raises(RunError, match=r"book\.txt has changed at .*: its sha256 was"):
        downloads.fetch_url(address, "book.txt")
    with pytest.raises(NotFoundError, match="answered 404"):
        downloads.fetch_url(f"{index.address}/files/none.txt", "none.txt")


def test_a_book_that_is_not_there_is_a_fault_of_the_recipe(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_GUTENBERG", index.address)
    with pytest.raises(
        RecipeError, match=r"data\.source: there is no text of book 7: pg7\.txt comes from .* answered 404"
    ):
        data.load_documents(Data(source="gutenberg:7"), 0)
    monkeypatch.setenv("FTAPP_GUTENBERG", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        data.load_documents(Data(source="gutenberg:7"), 0)


def test_a_refusal_is_an_answer(index: Index) -> None:
    index.failures = 1
    downloads.reach(index.address, "it", any_answer=True)
    index.failures = 1
    with pytest.raises(HubError, match=r"it comes from .* answered 503"):
        downloads.reach(index.address, "it")


def test_settings_of_pip_and_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://one.example/simple\ncert = /certificates.pem\n"
        "extra-index-url =\n    https://two.example/simple\n    https://three.example/simple\n"
        "[install]\nindex-url = https://zero.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    hosts = ["zero", "two", "three"]
    assert package_index.list_indexes() == ([f"https://{host}.example/simple" for host in hosts], "/certificates.pem")
    monkeypatch.setenv("PIP_INDEX_URL", "https://four.example/simple")
    assert package_index.list_indexes()[0][0] == "https://four.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert package_index.list_indexes() == ([PYPI_SIMPLE_ENDPOINT], True)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "main=https://five.example/simple?a=b")
    monkeypatch.setenv("UV_INDEX", "https://six.example/simple seven=https://seven.example/simple")
    assert package_index.list_indexes()[0] == [
        "https://five.example/simple?a=b",
        "https://six.example/simple",
        "https://seven.example/simple",
    ]


def test_fetching_needs_neither_keras_nor_requests_at_import() -> None:
    heavy = "'keras', 'requests', 'pypi_simple'"
    code = f"import sys, ftapp.common.downloads; print([name for name in ({heavy}) if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.network
def test_alice_from_the_real_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path))
    monkeypatch.delenv("FTAPP_OFFLINE", raising=False)
    indexes, verify = package_index.list_indexes()
    try:
        reached = [
            package_index.fetch_project_page(http_requests.Remote(index, verify), ALICE.project)
            for index in indexes[:1]
        ]
    except http_requests.UnreachableError as error:
        pytest.skip(f"no package index is reachable: {error}")
    assert reached
    path = downloads.fetch_artifact(ALICE)
    expected = "7467306ee0feed4971260f3c87421154a05be571d944e9cb021a5713700c38f0"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
