"""`ftapp serve --class` with options and folders that do not go together, as a real process."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from ftapp.common.processes import make_module_command


def serve(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Serve a class until it is refused."""
    command = make_module_command("ftapp.cli", "serve", "--class", *words)
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)


def test_no_folder_opens_the_token_of_the_class_to_students(tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".config"
    settings.mkdir(parents=True)
    (tmp_path / "home" / "data").mkdir()
    nowhere = serve("--runs-dir", str(tmp_path / "runs"), "--folder", str(tmp_path / "none"))
    assert f"there is no folder '{tmp_path / 'none'}' that can be read" in nowhere.stderr
    home = str(tmp_path / "home" / "data" / "..")
    refused = serve("--runs-dir", str(tmp_path / "runs"), "--folder", home, FTAPP_CONFIG=str(settings))
    assert refused.returncode == 2
    assert f"students can read {tmp_path / 'home'}, and the token of the class" in refused.stderr
    assert not list(settings.iterdir())


def test_links_that_are_not_new_or_do_not_last_are_told(tmp_path: Path) -> None:
    (tmp_path / "settings").touch()
    (tmp_path / "data").mkdir()
    variables = {"FTAPP_CONFIG": str(tmp_path / "settings"), "FTAPP_TOKEN": "a token of some length"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--host", "127.0.0.1", "--port", str(port), "--runs-dir", str(tmp_path / "runs"))
        refused = serve(*words, "--new-links", "--folder", str(tmp_path / "data"), **variables)
    assert refused.returncode == 2
    assert f"students can read {tmp_path / 'data'}\n" in refused.stderr
    assert "FTAPP_TOKEN sets the links, so they stay" in refused.stderr
    assert "the next server of this class has other links" in refused.stderr
    assert f"127.0.0.1:{port} cannot be listened on" in refused.stderr
