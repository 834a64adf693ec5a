"""A hub of data sets on this machine, which speaks what Hugging Face's client asks of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class DataHub(ThreadingHTTPServer):
    """A hub with revisions of one data set, `owner/name`. Each is a commit with the content of its files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.revisions: dict[str, str] = {}
        self.commits: dict[str, dict[str, bytes]] = {}
        self.gated = False
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, revision: str, files: dict[str, bytes]) -> str:
        """Give a revision a new commit, and return that."""
        commit = hashlib.sha1(repr((revision, files)).encode()).hexdigest()
        self.commits[commit], self.revisions[revision] = files, commit
        return commit


class _Handler(BaseHTTPRequestHandler):
    server: DataHub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, urlsplit(self.path).path
        hub.requests.append(path)
        if path == "/":
            return self._answer(b"hub")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        parts = parts[1:] if parts[0] == "api" else parts
        if parts[1:3] != ["owner", "name"]:
            return self._refuse(404, "RepoNotFound")
        if hub.gated:
            return self._refuse(403, "GatedRepo")
        what, revision, *rest = parts[3:]
        commit = hub.revisions.get(revision, revision)
        if commit not in hub.commits:
            return self._refuse(404, "RevisionNotFound")
        files = hub.commits[commit]
        if what == "revision":
            return self._answer(json.dumps({"id": "owner/name", "sha": commit, "siblings": []}).encode())
        if what == "tree":
            kept = [{"type": "file", "path": path, "size": len(files[path]), "oid": "0"} for path in files]
            return self._answer(json.dumps(kept).encode())
        content = files["/".join(rest)]
        return self._answer(content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(b"{}", {"X-Error-Code": code}, status)

    def _answer(self, content: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
