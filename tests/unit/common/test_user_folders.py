"""Users without a home folder, and paths that begin with one."""

from __future__ import annotations

import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftapp.common import user_folders
from ftapp.common.errors import RunError
from ftapp.recipe import presets, sources
from ftapp.tui.settings import Settings


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started as a user of no name."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "FTAPP_CACHE", "FTAPP_RUNS", "FTAPP_CONFIG", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_variable_that_names_a_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"there is no home folder to keep runs in; set HOME, or FTAPP_RUNS to a folder"):
        user_folders.runs()
    with pytest.raises(RunError, match="set HOME, or FTAPP_CACHE to a folder"):
        user_folders.cache()
    Settings.load().save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variable", "find"),
    [("FTAPP_CACHE", user_folders.cache), ("FTAPP_RUNS", user_folders.runs), ("FTAPP_CONFIG", user_folders.settings)],
)
def test_each_folder_is_named_by_a_variable(
    variable: str, find: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    for value, folder in (("/a", Path("/a")), ("a", tmp_path / "a"), ("~/a", Path("/home/somebody/a"))):
        monkeypatch.setenv(variable, value)
        assert find() == folder
    monkeypatch.setenv(variable, "")
    assert str(find()).startswith("/home/somebody/")


def test_the_home_of_an_unknown_user_is_named() -> None:
    for check, value in (
        (sources.resolve, "folder:~nobody-of-this-name/a"),
        (presets.resolve, "~nobody-of-this-name/a"),
    ):
        with pytest.raises(ValueError, match="begins with ~nobody-of-this-name, a home folder that is not known"):
            check(value)


def test_a_path_that_is_no_utf8_is_refused_in_escapes(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from ftapp.recipe import sources\n"
        "os.chdir(os.fsencode(sys.argv[1]) + b'/caf\\xe9')\n"
        "try:\n    sources.resolve('folder:data')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    folder = tmp_path / "caf\udce9" / "data"
    folder.mkdir(parents=True)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"the path {tmp_path}/caf\\xe9/data is not UTF-8, in which recipes are written; rename its folders\n"
    )
