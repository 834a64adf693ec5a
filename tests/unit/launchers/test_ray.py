"""What a run on a Ray cluster is sent."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftapp.common.errors import RunError
from ftapp.launchers import ray
from ftapp.launchers.target import parse_target


@pytest.mark.parametrize(("option", "sent"), [("yes", {"FTAPP_CACHE", "XLA_FLAGS"}), ("no", {"XLA_FLAGS"})])
def test_a_cluster_without_a_shared_disk_gets_no_folders_of_this_machine(
    option: str, sent: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def refuse(*_: object, input: str, **__: Any) -> subprocess.CompletedProcess[str]:
        requests.append(json.loads(input))
        raise subprocess.TimeoutExpired("ray_submit", 1)

    monkeypatch.setenv("TF_VAR_password", "secret")
    monkeypatch.setattr(subprocess, "run", refuse)
    engine = ray.RayEngine(parse_target(f"ray://head?shared={option}"))
    of_entry = {"FTAPP_CACHE": "/home/ana/cache", "XLA_FLAGS": ""}  # as an entry of the queue has them
    with pytest.raises(RunError):
        engine.submit(tmp_path, "launch", of_entry)
    assert requests[0]["environment"].keys() & of_entry.keys() == sent
    assert "TF_VAR_password" not in requests[0]["environment"]
