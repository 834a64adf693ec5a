"""No process of ftapp imports what lies in the current folder: real processes in a folder full of poison."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ftapp
from ftapp.common.processes import make_child_environment, make_module_command, secure

PACKAGE = Path(ftapp.__file__).parent
ROOT = str(PACKAGE.parent)
STANDARD = [
    "random",
    "json",
    "tomllib",
    "pathlib",
    "asyncio",
    "subprocess",
    "logging",
    "argparse",
    "pickle",
    "tempfile",
    "secrets",
    "csv",
    "html",
]
HEAVY = [
    "keras",
    "keras_hub",
    "tensorflow",
    "numpy",
    "scipy",
    "sklearn",
    "rich",
    "textual",
    "typer",
    "click",
    "pydantic",
    "msgspec",
    "platformdirs",
]
OTHERS = [
    "ftapp",
    "sitecustomize",
    "usercustomize",
    "pip",
    "requests",
    "aiohttp",
    "aiohttp_jinja2",
    "jinja2",
    "textual_serve",
]

# How a user's shell may have set the search paths: a colon too many stands for the current folder.
CARELESS = {"PYTHONPATH": ":", "LD_LIBRARY_PATH": "/nowhere:", "PYTHONSTARTUP": "json.py"}


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A folder whose modules leave a file `executed` when they are imported."""
    folder = tmp_path / "here"
    folder.mkdir()
    mark = f"open({str(folder / 'executed')!r}, 'a').write(__name__ + chr(10))\nraise SystemExit('poison')\n"
    for name in STANDARD + HEAVY + OTHERS:
        (folder / f"{name}.py").write_text(mark)
    return folder


def executed(folder: Path) -> str:
    mark = folder / "executed"
    return mark.read_text() if mark.exists() else ""


PYTHON = [sys.executable, "-m"]


@pytest.mark.parametrize(
    "program", [[*PYTHON, "ftapp"], [*PYTHON, "ftapp.cli.app"], [str(Path(sys.executable).parent / "ftapp")]]
)
def test_commands_import_nothing_from_the_current_folder(poisoned: Path, program: list[str]) -> None:
    if "-m" in program:
        (poisoned / "ftapp.py").unlink()  # which the user has asked Python itself for
    done = subprocess.run([*program, "recipes"], cwd=poisoned, capture_output=True, text=True, check=False)
    assert not executed(poisoned)
    assert done.returncode == 0, done.stderr
    assert "vgg16-feature-extractor" in done.stdout


@pytest.mark.parametrize(
    "module",
    ["workers.run", "workers.experiment", "workers.inspector", "workers.predictor", "cli.app"],
)
def test_helpers_import_nothing_from_the_current_folder(poisoned: Path, module: str) -> None:
    # A module's imports are done before it misses its arguments; Keras itself, imported later, is kept out.
    code = (
        f"import sys; import ftapp.{module}; print([entry for entry in sys.path if entry in ('', {str(poisoned)!r})])"
    )
    command = make_module_command(f"ftapp.{module}")
    assert command[1:3] == ["-P", "-m"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=poisoned,
        env=make_child_environment(CARELESS),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not executed(poisoned)
    assert "poison" not in done.stderr
    assert "SystemExit" not in done.stderr
    assert done.stdout == "[]\n", done.stderr


def test_grandchildren_do_not_either(poisoned: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import random, json'], check=True)\n"
        "import multiprocessing\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        assert pool.apply(len, ('abc',)) == 3\n"
    )
    script = poisoned.parent / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-P", str(script)], cwd=poisoned, env=make_child_environment(CARELESS), check=False
    )
    assert not executed(poisoned)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [(":", None), ("", None), (".", None), ("/a::/b", "/a:/b"), ("/a:.:b/c:", "/a"), (ROOT, ROOT)],
)
def test_paths_lose_the_current_folder_and_nothing_else(
    given: str, kept: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"PYTHONPATH": given, "PATH": "/bin:"}
    secure(environment)
    assert environment.get("PYTHONPATH") == kept
    assert environment["PATH"] == "/bin:"
    here = {"PYTHONPATH": f"{tmp_path}{os.pathsep}/a"}
    secure(here)
    assert here["PYTHONPATH"] == "/a"


def test_a_program_that_imports_ftapp_keeps_its_path(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("import ftapp\n")
    (package / "beside.py").write_text("value = 1\n")
    (package / "__main__.py").write_text("from mine.beside import value\nimport other\nprint(value)\n")
    (tmp_path / "other.py").write_text("")
    done = subprocess.run([sys.executable, "-m", "mine"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr


def test_children_are_started_in_one_way() -> None:
    for path in PACKAGE.rglob("*.py"):
        names = [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and node.attr == "executable"
        ]
        assert not names or path.name == "processes.py", f"{path} starts Python by itself"
