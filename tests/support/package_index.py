"""A package index on this machine, which counts what it is asked and fails as told, and packages for it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ftapp.common import user_folders

WHEEL = "tiny_data-1.0-py3-none-any.whl"


SDIST = "tiny_data-1.0.tar.gz"


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


def cached() -> list[str]:
    """What the cache holds but for lock files."""
    found = (path for kind in ("archives", "artifacts") for path in (user_folders.cache() / kind).glob("*"))
    return [path.name for path in found if path.suffix != ".lock"]
