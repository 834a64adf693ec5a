"""The code: what is imported when (commands answer before anything heavy is loaded), and how long files are."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import ftapp

KERAS = {"jax", "keras", "keras_hub", "tensorflow", "torch"}
HEAVY = KERAS | {"PIL", "grain", "numpy", "onnx", "pandas", "safetensors", "scipy", "sklearn", "tensorflow_datasets"}

PACKAGE = Path(ftapp.__file__).parent


def modules(*rooms: str) -> list[str]:
    """The names of all modules in some packages of ftapp, sorted."""
    files = (path for room in rooms for path in (PACKAGE / room).rglob("[!_]*.py"))
    return sorted(".".join(("ftapp", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in files)


LIGHT = modules("api", "common", "recipe", "runs", "rpc", "experiments", "serving", "cli")


_PROBE = """
import json, sys
try:
    exec(sys.argv.pop(1))
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(code: str, arguments: Sequence[str] = ()) -> set[str]:
    """The top-level modules in `sys.modules` of a fresh interpreter at the end of `code`."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, code, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded_by_command(*arguments: str) -> set[str]:
    return loaded("from ftapp.cli.app import main\nmain()", arguments)


def test_light_modules_import_nothing_heavy() -> None:
    code = f"""
import importlib, sys
for name in {LIGHT!r}:
    importlib.import_module(name)
    assert not {HEAVY!r} & {{each.split(".")[0] for each in sys.modules}}, name
"""
    loaded(code)


def test_data_needs_no_keras() -> None:
    encoding = {
        "augmentation",
        "encoded",
        "encoded_completions",
        "encoded_splits",
        "encoding",
        "kerashub",
        "mixing",
        "packing",
        "tensorflow_layers",
        "word_piece",
    }
    names = set(modules("data")) - {f"ftapp.data.{name}" for name in encoding}
    assert not loaded("\n".join(f"import {name}" for name in sorted(names))) & KERAS


def test_no_module_imports_a_part_of_keras_before_keras() -> None:
    """Two threads that import both at once would find one of them half made: a process answers requests in threads."""
    found = re.compile(r"^(?:from|import) (?:keras|keras_hub)\.src\b", re.MULTILINE)
    assert [path.name for path in PACKAGE.rglob("*.py") if found.search(path.read_text())] == []


def test_reports_need_no_keras() -> None:
    names = ("card", "comparison", "experiment", "run")
    assert not loaded("\n".join(f"import ftapp.report.{name}" for name in names)) & KERAS


def test_help_imports_little_but_typer() -> None:
    assert not loaded_by_command("--help") & (HEAVY | {"msgspec", "pydantic", "requests", "rich"})


def test_the_program_opens_the_interface_without_typer() -> None:
    code = """
import sys
import ftapp.tui.app
from ftapp.__main__ import main
ftapp.tui.app.run_app = lambda *arguments, **options: print("opened")
sys.stdout.isatty = lambda: True
main()
"""
    assert not loaded(code) & (HEAVY | {"typer", "pydantic", "requests"})


def test_help_of_a_command_imports_nothing_heavy() -> None:
    # Typer itself reads a command's options with Pydantic, where it is installed.
    assert not loaded_by_command("run", "--help") & (HEAVY | {"msgspec", "requests", "rich"})


@pytest.mark.parametrize(
    "command",
    [
        ["recipes"],
        ["show", "bert-full", "--profile", "quick"],
        ["validate", "vgg16-two-phase", "bert-full", "gpt2-full"],
        ["runs", "--runs-dir", "no-such-folder"],
        ["cache"],
    ],
    ids=lambda command: command[0],
)
def test_commands_about_recipes_and_runs_import_nothing_heavy(command: list[str]) -> None:
    assert not loaded_by_command(*command) & HEAVY


def test_a_run_is_started_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    code = """
from ftapp.runs.launcher import LocalLauncher

def start(*arguments):
    raise SystemExit

LocalLauncher.start = start
from ftapp.cli.app import main
main()
"""
    assert not loaded(code, ["run", "bert-full", "--profile", "quick", "--runs-dir", str(tmp_path)]) & HEAVY


def test_a_process_that_checks_images_imports_little() -> None:
    assert not loaded("import ftapp.workers.check_images") & (
        HEAVY - {"PIL", "numpy"} | {"http", "pydantic", "requests"}
    )


def test_lists_of_runs_need_no_schema_of_recipes() -> None:
    code = """
import sys
import ftapp.experiments.listing, ftapp.runs.outcome, ftapp.runs.rows
assert "ftapp.recipe.schema" not in sys.modules
"""
    assert "pydantic" not in loaded(code)


def test_the_first_screen_of_the_interface_imports_little() -> None:
    assert not loaded("import ftapp.tui.app, ftapp.tui.screens.recipes") & (HEAVY | {"pydantic", "textual_plot"})


def test_public_classes_have_names_of_their_own() -> None:
    homes: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    homes.pop("Changed")  # messages of widgets, each named by its widget: Dropdown.Changed
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_files_are_small_enough_to_be_read_at_once() -> None:
    root = PACKAGE.parent
    folders = [PACKAGE, *(root / name for name in ("tests", "benchmarks", "docs") if (root / name).is_dir())]
    lengths = {
        str(path.relative_to(root)): len(path.read_text("utf-8").splitlines())
        for folder in folders
        for path in folder.rglob("*.py")
    }
    assert {path: length for path, length in lengths.items() if length > 400} == {}
    own = sorted(length for path, length in lengths.items() if path.startswith("ftapp/"))
    assert own[len(own) // 2] < 150
