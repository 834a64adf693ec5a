"""Hubs of models on this machine, which take what the libraries of Hugging Face and Kaggle send."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 4096
"""The bytes from which on a file goes through LFS; the real hub takes some 10 MB."""


class ModelHub(ThreadingHTTPServer):
    """A hub that holds what was sent to it.

    Attributes:
        files: The content of each file by repository, revision and path.
        made: The repositories that were made, with what was said of them.
        large: The contents that came through LFS, by their sha256.
        messages: The messages of commits, or the notes of versions.
        status: What every request is answered with; 200 for what it should be.
        requests: What was asked for.
        tokens: What came as Authorization.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.large: dict[str, bytes] = {}
        self.messages: list[str] = []
        self.status = 200
        self.refused = ""
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.versions: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ModelHub

    def do_GET(self) -> None:
        self._handle({r"/": self._answer_empty, r"/api/whoami-v2": self._tell_user})

    def do_POST(self) -> None:
        name = r"/api/models/(?P<name>[^/]+/[^/]+)"
        self._handle(
            {
                r"/api/repos/create": self._make_repository,
                rf"{name}/branch/(?P<revision>.+)": self._answer_empty,
                rf"{name}/preupload/(?P<revision>.+)": self._tell_modes,
                rf"{name}/commit/(?P<revision>.+)": self._commit,
                r"/api/validate-yaml": self._answer_empty,
                r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch": self._tell_places,
                r"/api/v1/models.ModelApiService/GetModel": self._find_kaggle_model,
                r"/api/v1/models.ModelApiService/CreateModel": self._make_kaggle_model,
                r"/api/v1/models.ModelApiService/CreateModelInstance": self._add_kaggle_variation,
                r"/api/v1/models.ModelApiService/CreateModelInstanceVersion": self._add_kaggle_version,
                r"/api/v1/blobs.BlobApiService/StartBlobUpload": self._start_blob,
            }
        )

    def do_PUT(self) -> None:
        self._handle({r"/lfs/(?P<oid>\w+)": self._take_large, r"/blob/(?P<token>\w+)": self._take_blob})

    def _handle(self, routes: dict[str, Callable[..., Any]]) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        hub.tokens.add(self.headers.get("Authorization", ""))
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if hub.status != 200 and hub.refused in path:
            return self._answer({"error": "refused", "code": hub.status, "message": "refused"}, hub.status)
        for pattern, handle in routes.items():
            if match := re.fullmatch(pattern, path):
                return self._answer(handle(content, **match.groupdict()))
        return self._answer({"error": f"no {path}"}, 404)

    def _answer(self, content: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(content.pop("status", status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer_empty(self, content: bytes, **_: str) -> dict[str, Any]:
        return {}

    def _tell_user(self, content: bytes) -> dict[str, Any]:
        return {"name": "owner", "type": "user"}

    def _make_repository(self, content: bytes) -> dict[str, Any]:
        asked = json.loads(content)
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.server.address}/{name}", "name": name}
        if name in self.server.made:
            return {**url, "error": "You already created this model repo", "status": 409}
        self.server.made[name] = asked
        return url

    def _tell_modes(self, content: bytes, name: str, revision: str) -> dict[str, Any]:
        files = json.loads(content)["files"]
        return {
            "files": [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for each in files
            ]
        }

    def _tell_places(self, content: bytes, name: str) -> dict[str, Any]:
        objects = json.loads(content)["objects"]
        places = [
            {**each, "actions": {"upload": {"href": f"{self.server.address}/lfs/{each['oid']}"}}} for each in objects
        ]
        return {"transfer": "basic", "objects": places}

    def _take_large(self, content: bytes, oid: str) -> dict[str, Any]:
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.large[oid] = content
        return {}

    def _commit(self, content: bytes, name: str, revision: str) -> dict[str, Any]:
        held = self.server.files.setdefault((name, revision), {})
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    self.server.messages.append(value["summary"])
                case "file":
                    held[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    held[value["path"]] = self.server.large[value["oid"]]
        return {"commitUrl": f"{self.server.address}/{name}/commit/abc", "commitOid": "abc", "success": True}

    def _find_kaggle_model(self, content: bytes) -> dict[str, Any]:
        asked = json.loads(content)
        name = f"{asked['ownerSlug']}/{asked['modelSlug']}"
        return {} if name in self.server.made else {"code": 404, "message": "there is none", "status": 404}

    def _make_kaggle_model(self, content: bytes) -> dict[str, Any]:
        asked = json.loads(content)
        self.server.made[f"{asked['ownerSlug']}/{asked['slug']}"] = asked
        return {}

    def _start_blob(self, content: bytes) -> dict[str, Any]:
        token = f"blob{len(self.server.blobs)}"
        self.server.blobs[token] = (json.loads(content)["name"], b"")
        return {"token": token, "createUrl": f"{self.server.address}/blob/{token}"}

    def _take_blob(self, content: bytes, token: str) -> dict[str, Any]:
        self.server.blobs[token] = (self.server.blobs[token][0], content)
        return {}

    def _add_kaggle_variation(self, content: bytes) -> dict[str, Any]:
        if self.server.versions:
            return {"error": "it is there already", "errorCode": 409}
        return self._add_kaggle_version(content)

    def _add_kaggle_version(self, content: bytes) -> dict[str, Any]:
        self.server.versions.append(json.loads(content))
        return {}

    def log_message(self, format: str, *args: object) -> None:
        pass
