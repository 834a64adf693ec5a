"""The commands that run nothing: what they print and how they exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.cli.app import app
from ftapp.recipe import TASKS, presets
from ftapp.runs import run_creation
from ftapp.runs.event_log import EventLog
from ftapp.runs.events import RunEnded
from tests.support.quick_starts import make_command


def ftapp(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(make_command("ftapp.cli", *arguments), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_recipes_are_listed() -> None:
    code, stdout, _ = ftapp("recipes", "--json")
    assert code == 0
    rows = json.loads(stdout)
    assert {row["name"] for row in rows} == set(recipe.bundled())
    code, stdout, _ = ftapp("recipes")
    assert code == 0
    assert all(name in stdout for name in recipe.bundled())


def test_models_are_listed_by_task_and_size() -> None:
    code, stdout, _ = ftapp("models", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(stdout)}
    of_images = ["image-classification", "image-multi-label", "image-regression"]
    assert rows["vgg_16_imagenet"]["tasks"] == of_images
    assert rows["vgg_16_imagenet"]["most_bytes"] == 4 * 14_714_688
    assert rows["bert_base_en_uncased"]["tasks"] == ["text-classification", "text-multi-label", "text-regression"]
    images = [row["parameters"] for row in rows.values() if row["tasks"] == of_images]
    assert images == sorted(images)
    assert set(rows) <= set(presets.list_hub_names())
    for task in TASKS:
        of_task = {name for name, row in rows.items() if task in row["tasks"]}
        assert of_task, task
        assert of_task <= set(presets.list_hub_names_for(task))


def test_a_word_and_a_task_narrow_the_list_of_models() -> None:
    _, stdout, _ = ftapp("models", "VGG", "--task", "image-classification", "--json")
    assert [row["name"] for row in json.loads(stdout)] == [f"vgg_{depth}_imagenet" for depth in (11, 13, 16, 19)]
    code, stdout, _ = ftapp("models", "vgg")
    assert code == 0
    assert stdout.splitlines()[-1].startswith("4 of the ")
    assert "  image-*  " in stdout
    assert ftapp("models", "vg_16_imagenet")[2].endswith("has 'vg_16_imagenet'; did you mean 'vgg_16_imagenet'?\n")
    code, _, stderr = ftapp("models", "--task", "image-clasification")
    assert (code, stderr) == (2, "there is no task 'image-clasification'; did you mean 'image-classification'?\n")


def test_show_prints_a_resolved_recipe_that_is_toml() -> None:
    code, stdout, _ = ftapp("show", "gpt2-targeted", "--profile", "quick", "--set", "seed=7")
    assert code == 0
    shown = tomllib.loads(stdout)
    assert shown["seed"] == 7
    assert shown["model"]["preset"] == "assets:gpt2_mini"
    assert "profile" not in shown


def test_copy_keeps_comments_and_never_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "mine.toml"
    assert ftapp("copy", "bert-full", str(target))[0] == 0
    assert target.read_text("utf-8") == recipe.find("bert-full").read_text("utf-8")
    code, _, stderr = ftapp("copy", "bert-head-only", str(target))
    assert code == 2
    assert "exists" in stderr
    assert ftapp("validate", str(target))[0] == 0


def test_validate_checks_all_files_and_profiles(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    text = recipe.find("bert-full").read_text("utf-8").replace("data.limit =", "data.limt =")
    bad.write_text(text, encoding="utf-8")
    code, stdout, stderr = ftapp("validate", "bert-full", str(bad), "no-such-recipe")
    assert code == 2
    assert "bert-full: valid" in stdout
    assert "[profile.quick]: data.limt: unknown key; did you mean 'limit'?" in stderr
    assert "there is no recipe 'no-such-recipe'" in stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "no-such-recipe"),
        ("run", "bert-full", "--profile", "quik"),
        ("run", "bert-full", "--set", "x"),
        ("run", "bert-full", "--backend", "theano"),
        ("run", "bert-full", "--seed", "-1"),
        ("run", "bert-full", "--max-time", "55 min"),
        ("run", "bert-full", "--resume", "always"),
        ("run", "bert-full", "gpt2-full", "--resume", "auto"),
        ("run", "bert-full", "--control", "--max-time", "55 min"),
        ("sweep", "--resume", "auto"),
        ("sweep", "bert-full", "--resume", "last"),
        ("sweep", "bert-full", "--max-time", "long"),
        ("resume", "last", "--max-time", "0"),
        ("show", "bert-ful"),
        ("show",),
        ("validate",),
        ("no-such-command",),
    ],
)
def test_bad_arguments_exit_with_2_and_no_traceback(arguments: tuple[str, ...]) -> None:
    code, stdout, stderr = ftapp(*arguments)
    assert code == 2
    assert stdout == ""
    assert stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "bert-full", "--backend", "tensorflw"), "'--backend': unknown value 'tensorflw'; did you mean 'ten"),
        (("run", "bert-full", "--backend", "JAX"), "'--backend': unknown value 'JAX'; did you mean 'jax'?"),
        (("ctl", "last", "nix"), "'ACTION': unknown value 'nix'; choose from 'pause', "),
        (("run", "bert-full", "--seed", "x"), "'--seed': 'x' is no whole number"),
        (("lr-find", "bert-full", "--from", "x"), "'--from': 'x' is no number"),
        (("run", "bert-full", "--repeat", "0"), "'--repeat': '0' is too small; the least is 1"),
    ],
)
def test_values_of_options_are_refused_in_words(arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert f"Invalid value for {said}" in done.output


def test_runs_are_listed_with_their_status(tmp_path: Path) -> None:
    loaded = recipe.load(recipe.find("bert-full"), "quick")
    done = run_creation.create(loaded, "bert-full", "quick", tmp_path)
    EventLog(done.events_file).write(RunEnded(time=1.0, status="done", steps=3, seconds=2.0))
    crashed = run_creation.create(loaded, "bert-full", None, tmp_path)
    code, stdout, _ = ftapp("runs", "--runs-dir", str(tmp_path), "--json")
    assert code == 0
    statuses = {row["run"]: row["status"] for row in json.loads(stdout)}
    assert statuses == {str(done.folder): "done", str(crashed.folder): "crashed"}
    code, stdout, stderr = ftapp("runs", "--runs-dir", str(tmp_path / "none"))
    assert (code, stderr) == (0, f"there are no runs in {tmp_path}/none\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed: str, tmp_path: Path) -> None:
    commands = {"runs": 0, "validate bert-ful": 2}
    if closed == ">&- 2>&-":
        commands |= {"recipes": 0, "show bert-full": 0}
    for command, code in commands.items():
        line = f"{sys.executable} -m ftapp.cli.app {command} {closed}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == code, (command, done.stderr)
        assert "Error" not in done.stderr


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; from ftapp.cli.app import main; sys.argv = ['ftapp', 'validate', 'bert-ful']; main()", 2),
        ("import sys; from ftapp.cli.app import main; sys.argv = ['ftapp', 'run', '--seed', 'x']; main()", 2),
        (
            "import sys; from ftapp.common.console import PlainConsole; console = PlainConsole(sys.stderr); "
            "console.print('said'); console.print('said again'); print('result'); sys.exit(75)",
            75,
        ),
    ],
)
def test_a_reader_of_stderr_that_goes_away_changes_no_exit_code(code: str, expected: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=writer, text=True, check=False)
    os.close(writer)
    assert done.returncode == expected
    assert done.stdout == ("result\n" if expected == 75 else "")


def test_a_full_disk_behind_the_output_is_told_in_words() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ftapp.cli.app", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("ftapp: the output cannot be written: No space left on device (")


def test_a_closed_stream_is_no_place_for_the_next_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    code = (
        "from ftapp.common.standard_streams import open_closed; import os, subprocess; open_closed(); "
        f"file = open({str(file)!r}, 'w'); print('said'); os.write(2, b'said'); "
        "subprocess.run(['sh', '-c', 'echo said; echo said >&2'], check=True); file.write('kept'); file.close()"
    )
    done = subprocess.run(["sh", "-c", f'exec {sys.executable} -c "$0" <&- >&- 2>&-', code], check=False)
    assert done.returncode == 0
    assert file.read_text() == "kept"


def test_copy_replaces_a_file_only_when_asked_and_says_how(tmp_path: Path) -> None:
    target = tmp_path / "mine.toml"
    assert ftapp("copy", "bert-full", str(target))[0] == 0
    before = target.read_text()
    code, _, stderr = ftapp("copy", "gpt2-full", str(target))
    assert code == 2
    assert "exists" in stderr
    assert "--force" in stderr
    assert "mine-2.toml" in stderr
    assert target.read_text() == before
    assert ftapp("copy", "gpt2-full", str(target), "--force")[0] == 0
    assert target.read_text() != before
    assert ftapp("copy", str(target), str(target), "--force")[0] == 0
    assert "causal-lm" in target.read_text()
    assert ftapp("copy", "gpt2-full", str(tmp_path / "mine.txt"), "--force")[0] == 2
