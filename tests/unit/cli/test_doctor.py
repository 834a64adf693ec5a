"""`ftapp doctor`: each check on its own, and the whole command with a real helper process."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp.cli import app, machine_checks
from ftapp.cli.machine_checks import Check
from ftapp.common import user_folders
from ftapp.data.at_hand import is_at_hand
from ftapp.recipe import Recipe
from ftapp.recipe.user_settings import find_settings_file
from tests.support.documents import commands
from tests.support.files import ROOT
from tests.support.recorded_runs import record_run
from tests.support.webhook import serve_webhook


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {each.name: each for each in checks}


def test_folders_with_runs_room_and_settings(tmp_path: Path) -> None:
    record_run(tmp_path / "runs")
    found = by_name(list(machine_checks.check_folders(tmp_path / "runs")))
    assert found["runs"].says.startswith(f"{tmp_path}/runs: 1 run, ")
    assert found["cache"].state in ("ok", "note")
    assert found["settings"] == Check("folders", "settings", "ok", f"{find_settings_file()} does not exist")
    find_settings_file().parent.mkdir(parents=True)
    find_settings_file().write_text("[track]\ntensorboard = true\n", encoding="utf-8")
    assert by_name(list(machine_checks.check_folders(None)))["settings"].says.endswith(": trackers: tensorboard")
    find_settings_file().write_text("[track]\ntensorbord = true\n", encoding="utf-8")
    wrong = by_name(list(machine_checks.check_folders(None)))["settings"]
    assert (wrong.state, "did you mean 'tensorboard'" in wrong.says) == ("problem", True)


def test_a_folder_that_is_a_file_stands_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "file" / "cache"))
    found = by_name(list(machine_checks.check_folders(tmp_path)))["cache"]
    assert (found.state, found.advice) == ("problem", "name another folder by FTAPP_CACHE")


def test_servers_that_answer_and_that_do_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FTAPP_GUTENBERG", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    with serve_webhook() as server:  # which refuses GET, and so is there
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        checks = machine_checks.check_network()
    found = by_name(checks)
    assert found["Hugging Face (hf://, hf:)"].says == "answers"
    assert found["Project Gutenberg"].state == "note"
    assert found["Project Gutenberg"].says.startswith("cannot be reached")
    assert found["token of Hugging Face"].says == "is there"
    assert "hf_secret" not in str(checks)


def test_packages_that_are_missing_are_named_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"nncf", "pynvml"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else object())
    found = by_name(list(machine_checks.check_extras()))
    assert found["openvino"] == Check("packages", "openvino", "note", "without nncf", "pip install 'ftapp[openvino]'")
    assert found["nvidia"].says == "not installed"
    assert found["export"].state == "ok"


def test_modules_that_each_process_compiles_anew_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert not list(machine_checks.check_compiled_modules())  # the next process keeps them
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    [found] = machine_checks.check_compiled_modules()
    assert (found.state, "PYTHONDONTWRITEBYTECODE is set" in found.says) == ("note", True)
    keras = importlib.util.find_spec("keras")
    assert keras
    assert keras.origin
    assert f" {Path(keras.origin).parent.parent} " in found.advice
    kept = Path(importlib.util.cache_from_source(keras.origin))
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert not list(machine_checks.check_compiled_modules())


@pytest.mark.parametrize(
    ("uri", "made"),
    [
        ("tfds:flowers", "tfds/flowers/1.0.0/dataset_info.json"),
        ("tfds:glue/sst2:2.0.0", "tfds/glue/sst2/2.0.0/dataset_info.json"),
        ("hf:owner/name", f"hf/owner--name/{'a' * 40}/train.parquet"),
        (f"hf:owner/name@{'a' * 40}", f"hf/owner--name/{'a' * 40}/train.parquet"),
    ],
)
def test_data_are_at_hand_once_the_cache_has_them(uri: str, made: str, own_cache: Path) -> None:
    assert not is_at_hand(uri)
    (own_cache / made).parent.mkdir(parents=True)
    (own_cache / made).touch()
    assert is_at_hand(uri)


def test_data_of_this_machine_are_at_hand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    assert is_at_hand(f"csv:{tmp_path}/a.csv")
    assert is_at_hand("sklearn:digits")
    assert not is_at_hand("gutenberg:11")


@pytest.mark.slow
@pytest.mark.usefixtures("quickly_started", "probed")
def test_the_command_tells_backends_and_what_recipes_lack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    others = ("jax", "torch")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in others else find(name, *rest))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    text = (ROOT / "recipes" / "gpt2-full.toml").read_text("utf-8")
    file.write_text(text.replace('preset = "gpt2_base_en"', 'preset = "assets:gpt2_mini"'), encoding="utf-8")
    result = CliRunner().invoke(app.app, ["doctor", str(file), "--offline", "--json"])
    assert result.exit_code == 0, result.output
    found = {(each["group"], each["name"]): each for each in json.loads(result.stdout)}
    assert "precision auto is " in found["backends", "tensorflow"]["says"]
    assert found["backends", "torch"]["advice"] == "pip install 'ftapp[torch]'"
    assert found["offline", str(file)]["says"] == "lacks gutenberg:11"
    assert not any(group == "network" for group, _ in found)
    assert found["machine", "processor"]["says"].endswith(f"{os.cpu_count()} cores") or "usable" in str(found)
    assert user_folders.cache().is_dir()


def test_a_recipe_that_does_not_exist_is_refused() -> None:
    result = CliRunner().invoke(app.app, ["doctor", "vgg17"])
    assert (result.exit_code, "there is no recipe 'vgg17'" in result.output) == (2, True)


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp doctor")])
def test_documented_commands_check_recipes_that_exist(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def check(wanted: dict[str, Recipe], **_: object) -> list[Check]:
        seen.extend(wanted)
        return []

    async def find_nothing(*_: object) -> list[Check]:
        return []

    monkeypatch.setattr("ftapp.cli.doctor._check_downloads", check)
    monkeypatch.setattr("ftapp.cli.doctor._check_backends", find_nothing)
    monkeypatch.setattr(machine_checks, "check_network", list)
    assert CliRunner().invoke(app.app, shlex.split(line)[1:]).exit_code == 0
    assert "vgg16-two-phase" in seen
