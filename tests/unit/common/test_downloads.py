"""Downloads, against a real package index served on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from ftapp import data
from ftapp.common import archives, cache_folders, downloads, user_folders
from ftapp.common.errors import HubError, NotFoundError, RecipeError, RunError
from ftapp.common.package_uri import Artifact
from ftapp.recipe import Data

WHEEL = "tiny_data-1.0-py3-none-any.whl"
SDIST = "tiny_data-1.0.tar.gz"
ALICE = Artifact(
    "brotli-1.2.1.tar.gz",
    "brotli-1.2.1/tests/testdata/alice29.txt",
    "02b2f7b5a83485efe448a44ddf7983def05c3bb1dcf917d4f7154070260e13de",
)


def wheel(members: dict[str, bytes], link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/hostname")
    return buffer.getvalue()


def sdist(members: dict[str, bytes], link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(info)
    return buffer.getvalue()


class Index(ThreadingHTTPServer):
    """A package index of one project. What it serves, and how badly, is set by the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.failures = 0  # answers of 503 still to give
        self.drops = 0  # downloads still to break off midway
        self.trickle = 0.0  # seconds before each of the pieces of a download
        self.held = threading.Event()  # while it is clear, downloads wait in their middle
        self.held.set()
        self.requests: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def downloads(self) -> int:
        return sum(path.startswith("/files/") for path, _ in self.requests)

    def add(self, name: str, content: bytes) -> str:
        self.files[name] = content
        return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        name = self.path.rpartition("/")[2]
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
        elif self.path == "/simple/tiny-data/":
            listed = [
                {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": digest} if digest else {}}
                for name in self.server.files
                for digest in [self.server.digests.get(name)]
            ]
            page = {"meta": {"api-version": "1.0"}, "name": "tiny-data", "files": listed}
            self._send(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
        elif self.path == "/html/tiny-data/":
            self._send(b"<!DOCTYPE html><title>Welcome</title>", "application/x-welcome")
        elif self.path.startswith("/files/") and name in self.server.files:
            self._send(self.server.files[name], "application/octet-stream")
        else:
            self.send_error(404)

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if kind.endswith("octet-stream") and self.server.drops:
            self.server.drops -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        pieces = 20 if self.server.trickle else 2
        step = -(-len(content) // pieces)
        for start in range(0, len(content), step):
            time.sleep(self.server.trickle)
            if start and kind.endswith("octet-stream"):
                self.server.held.wait()
            try:
                self.wfile.write(content[start : start + step])
                self.wfile.flush()
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """An index that pip is configured for, and an empty cache."""
    server = Index()
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (tmp_path / "absent").as_uri())
    monkeypatch.setenv("PIP_CERT", "")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FTAPP_OFFLINE", raising=False)
    monkeypatch.setattr(downloads, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(downloads, "_pip_config", dict)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.held.set()
    server.shutdown()
    server.server_close()


def cached() -> list[str]:
    """What the cache holds but for lock files."""
    found = (path for kind in ("archives", "artifacts") for path in (user_folders.cache() / kind).glob("*"))
    return [path.name for path in found if path.suffix != ".lock"]


@pytest.mark.parametrize(("name", "pack"), [(WHEEL, wheel), (SDIST, sdist)])
def test_a_file_and_a_folder_arrive_once(index: Index, name: str, pack: Callable[..., bytes]) -> None:
    digest = index.add(name, pack({"data/a.txt": b"a", "data/deep/b.txt": b"", "other.txt": b"no", "database": b"no"}))
    told: list[tuple[str, int, int | None]] = []
    file = downloads.artifact(Artifact(name, "data/a.txt", digest), lambda *report: told.append(report))
    assert file.read_bytes() == b"a"
    kibibytes = -(-len(index.files[name]) // 1024)
    assert told[-1] == (f"downloading {name}, KiB", kibibytes, kibibytes)
    folder = downloads.artifact(Artifact(name, "data", digest))
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt")) == ["a.txt", "deep/b.txt"]
    before = index.downloads
    assert downloads.artifact(Artifact(name, "data/a.txt", digest)) == file
    assert index.downloads == before
    assert len(cached()) == 3


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
    folder = downloads.artifact(spec)
    damage_entry(folder, damage)
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert downloads.artifact(spec) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"a", "b": b"b"}
    assert ("made anew" in caplog.text) is (damage != "all gone")
    assert index.downloads == 1
    assert len(cached()) == 2  # the archive and what was unpacked


def test_a_list_that_contradicts_its_wheel_does_no_harm(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    listed = record({"data/a": b"another"})
    spec = Artifact(WHEEL, "data", index.add(WHEEL, wheel(listed | {"data/a": b"a"})))
    for _ in range(2):
        assert (downloads.artifact(spec) / "a").read_bytes() == b"a"
    assert caplog.text == ""


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "a folder"])
def test_a_damaged_archive_is_fetched_again(index: Index, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    spec = Artifact(WHEEL, "data", index.add(WHEEL, wheel({"data/a": b"a"})))
    folder = downloads.artifact(spec)
    (archive,) = user_folders.cache().glob(f"archives/*/{WHEEL}")
    content = archive.read_bytes()
    archive.unlink()
    if damage == "a folder":
        archive.mkdir()
    elif damage != "missing":
        archive.write_bytes(content[:-3] + b"xyz" if damage == "flipped" else content[:50])
    assert (downloads.artifact(spec) / "a").read_bytes() == b"a"
    assert index.downloads == 2
    assert archive.read_bytes() == content
    assert "made anew" in caplog.text
    assert downloads.artifact(spec) == folder
    assert index.downloads == 2


@pytest.mark.parametrize("listed", [True, False])
def test_another_sha256_is_refused(index: Index, listed: bool) -> None:
    arrived = index.add(WHEEL, wheel({"a": b"a"}))
    if listed:
        index.digests[WHEEL] = arrived
    with pytest.raises(RunError) as caught:
        downloads.artifact(Artifact(WHEEL, "a", "0" * 64))
    assert "0" * 64 in str(caught.value)
    assert arrived in str(caught.value)
    assert index.downloads == (0 if listed else 1)
    assert cached() == []


def test_transient_failures_are_retried(index: Index) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 200_000})))
    index.failures, index.drops = 2, 2
    assert downloads.artifact(spec).stat().st_size == 200_000
    assert index.downloads == 3


def test_a_connection_that_keeps_breaking_is_an_error(index: Index) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 200_000})))
    index.drops = 3
    with pytest.raises(RunError, match=r"comes from a package index; 127\.0\.0\.1 cannot be reached"):
        downloads.artifact(spec)
    assert cached() == []


def test_errors_of_an_index(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    with pytest.raises(RunError, match=f"did you mean '{WHEEL}'"):
        downloads.artifact(Artifact("tiny_data-1.1-py3-none-any.whl", "a", digest))
    with pytest.raises(RunError, match="there is no package 'other'"):
        downloads.artifact(Artifact("other-1.0.tar.gz", "a", digest))
    index.failures = 3
    with pytest.raises(RunError, match="answered 503"):
        downloads.artifact(Artifact(WHEEL, "a", digest))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.address}/html")
    with pytest.raises(RunError, match="no page of a package index"):
        downloads.artifact(Artifact(WHEEL, "a", digest))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(RunError, match=r"127\.0\.0\.1 cannot be reached"):
        downloads.artifact(Artifact(WHEEL, "a", digest))


def test_indexes_without_the_file_are_passed_over(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", f"{empty.as_uri()}\n{index.address}/none")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://127.0.0.1:9/simple {index.address}/simple")
    assert downloads.artifact(Artifact(WHEEL, "a", digest)).read_bytes() == b"a"


def test_an_index_in_a_folder(index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = tmp_path / "an index" / "tiny-data"
    project.mkdir(parents=True)
    content = wheel({"a": b"a"})
    (project / WHEEL).write_bytes(content)
    (project / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", project.parent.as_uri())
    assert downloads.artifact(Artifact(WHEEL, "a", hashlib.sha256(content).hexdigest())).read_bytes() == b"a"


def test_the_password_of_an_index_stays_with_its_host(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = index.add(WHEEL, wheel({"a": b"a"}))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.address.replace('//', '//user:secret@')}/simple")
    downloads.artifact(Artifact(WHEEL, "a", digest))
    assert all(authorization for _, authorization in index.requests)
    elsewhere = downloads._beside(downloads._Remote("http://user:secret@127.0.0.1/simple"), "http://localhost/files/a")
    assert elsewhere.auth is None
    with pytest.raises(RunError) as caught:
        downloads.artifact(Artifact("other-1.0.tar.gz", "a", "0" * 64))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("name", "pack"), [(WHEEL, wheel), (SDIST, sdist)])
def test_unsafe_members_are_refused(
    index: Index, name: str, pack: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = index.add(name, pack({"data/../data/../../escape": b"x", "data/a": b"a"}, link="data/link"))
    with pytest.raises(RunError, match="only plain files"):
        downloads.artifact(Artifact(name, "data", digest))
    with pytest.raises(RunError, match="there is no"):
        downloads.artifact(Artifact(name, "escape", digest))
    assert downloads.artifact(Artifact(name, "data/a", digest)).read_bytes() == b"a"
    monkeypatch.setattr(archives, "_MAX_UNPACKED", 10)
    digest = index.add(name, pack({"big/a": b"a" * 6, "big/b": b"b" * 6}))
    with pytest.raises(RunError, match="at most"):
        downloads.artifact(Artifact(name, "big", digest))


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
        downloads.artifact(Artifact(name, "data", digest))
    assert len(str(caught.value)) < 1000
    assert len(str(caught.value).splitlines()) == 1
    assert not list((user_folders.cache() / "artifacts").glob("*[!k]"))  # nothing but a lock


def test_errors_of_an_archive(index: Index) -> None:
    digest = index.add(WHEEL, wheel({"data/reviews.csv": b"a"}))
    with pytest.raises(RunError, match=r"did you mean 'data/reviews\.csv'"):
        downloads.artifact(Artifact(WHEEL, "data/review.csv", digest))
    digest = index.add(WHEEL, b"no archive at all")
    with pytest.raises(RunError, match="cannot be read"):
        downloads.artifact(Artifact(WHEEL, "a", digest))
    digest = index.add(SDIST, sdist({"a": os.urandom(5000)})[:3000])
    with pytest.raises(RunError, match="cannot be read"):
        downloads.artifact(Artifact(SDIST, "a", digest))


def test_offline_uses_the_cache_alone(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a"})))
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    with pytest.raises(RunError, match=f"{WHEEL} is not in .* with --offline everything comes from the cache"):
        downloads.artifact(spec)
    assert index.requests == []
    monkeypatch.delenv("FTAPP_OFFLINE")
    path = downloads.artifact(spec)
    asked = len(index.requests)
    monkeypatch.setenv("FTAPP_OFFLINE", "1")
    assert downloads.artifact(spec) == path
    assert len(index.requests) == asked


def _start(spec: Artifact) -> subprocess.Popen[str]:
    """The same download in a process of its own."""
    code = f"from ftapp.common import downloads, package_uri; print(downloads.artifact(package_uri.{spec!r}))"
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
    assert downloads.artifact(spec).stat().st_size == 2_000_000
    assert len(cached()) == 2  # the archive and what was unpacked


def test_processes_and_threads_at_once_download_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", os.devnull)
    spec = Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a" * 100_000})))
    index.trickle = 0.05
    children = [_start(spec) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        paths = set(pool.map(lambda _: str(downloads.artifact(spec)), range(4)))
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
        downloads.artifact(Artifact(WHEEL, "a", index.add(WHEEL, wheel({"a": b"a"}))))


def test_a_url_keeps_the_hash_it_had_at_first(index: Index) -> None:
    index.add("book.txt", b"once upon a time")
    address = f"{index.address}/files/book.txt"
    path = downloads.url(address, "book.txt")
    assert path == user_folders.cache() / "books" / "book" / "book.txt"
    assert downloads.url(address, "book.txt").read_bytes() == b"once upon a time"
    assert index.downloads == 1
    path.write_bytes(b"once")
    assert downloads.url(address, "book.txt").read_bytes() == b"once upon a time"
    path.write_bytes(b"once")
    index.add("book.txt", b"another edition")
    with pytest.raises(RunError, match=r"book\.txt has changed at .*: its sha256 was"):
        downloads.url(address, "book.txt")
    with pytest.raises(NotFoundError, match="answered 404"):
        downloads.url(f"{index.address}/files/none.txt", "none.txt")


def test_a_book_that_is_not_there_is_a_fault_of_the_recipe(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_GUTENBERG", index.address)
    with pytest.raises(
        RecipeError, match=r"data\.source: there is no text of book 7: pg7\.txt comes from .* answered 404"
    ):
        data.documents(Data(source="gutenberg:7"), 0)
    monkeypatch.setenv("FTAPP_GUTENBERG", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be reached"):
        data.documents(Data(source="gutenberg:7"), 0)


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
    assert downloads._indexes() == ([f"https://{host}.example/simple" for host in hosts], "/certificates.pem")
    monkeypatch.setenv("PIP_INDEX_URL", "https://four.example/simple")
    assert downloads._indexes()[0][0] == "https://four.example/simple"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert downloads._indexes() == ([PYPI_SIMPLE_ENDPOINT], True)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "main=https://five.example/simple?a=b")
    monkeypatch.setenv("UV_INDEX", "https://six.example/simple seven=https://seven.example/simple")
    assert downloads._indexes()[0] == [
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
    indexes, verify = downloads._indexes()
    try:
        reached = [downloads._project_page(downloads._Remote(index, verify), ALICE.project) for index in indexes[:1]]
    except downloads._UnreachableError as error:
        pytest.skip(f"no package index is reachable: {error}")
    assert reached
    path = downloads.artifact(ALICE)
    expected = "7467306ee0feed4971260f3c87421154a05be571d944e9cb021a5713700c38f0"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected
