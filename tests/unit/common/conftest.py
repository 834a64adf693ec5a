"""What tests of downloads and archives share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftapp.common import package_index
from tests.support.package_index import Index


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
    monkeypatch.setattr(package_index, "_read_pip_config", dict)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.held.set()
    server.shutdown()
    server.server_close()
