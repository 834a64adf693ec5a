"""The documents hold: their commands run, their recipes are those that ship, their code reads a trained model."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner, Result

import command_reference
import outputs
import pictures
from ftapp import recipe
from ftapp.cli import app
from ftapp.cli.failure import UNANSWERED
from ftapp.common.errors import RunError
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe import Augment, Balance, Frozen, Keep, Phase, Section, StopRule, Sweep, Track, cautions, layer_rules
from ftapp.recipe.user_settings import Launch, Notify
from ftapp.rpc.messages import Survey
from ftapp.runs import alarms, result_warnings
from ftapp.runs.exit_codes import EXIT_CODES
from tests.conftest import Do
from tests.support.documents import PAGES, README, after, blocks, commands, page
from tests.support.example_results import write_examples
from tests.support.files import ROOT
from tests.support.recorded_runs import record_run
from tests.support.surveys import make_survey


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app.app, arguments)


def test_two_commands_do_all_set_up() -> None:
    programs = [part.split()[0] for part in after("set-up").split(" && ")]
    assert programs == ["python3", ".venv/bin/pip", ".venv/bin/ftapp"]
    assert after("test") == ".venv/bin/pytest"


def test_table_has_every_recipe() -> None:
    table = page("recipes").partition("\n## ")[0]
    listed = re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(recipe.bundled())


_WITH_PROCESSES = ("doctor", "queue", "run", "sweep", "resume", "plan", "lr-find", "parity", "advise", "ctl", "serve")
_USE_A_MODEL = ("predict", "evaluate", "explain", "generate", "export", "serve-model", "push")


def test_other_commands_work_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    for folder in ("RUN", "OTHER"):
        record_run(tmp_path / "runs").folder.rename(tmp_path / folder)
    write_examples(record_run(tmp_path / "runs"))
    made = {}
    tried = set()
    for line in commands():
        arguments = shlex.split(line.partition(" > ")[0])[1:]
        if arguments[0] in (*_WITH_PROCESSES, *_USE_A_MODEL):  # other tests have these
            continue
        if arguments[0] == "copy" and (file := Path(arguments[2])).exists():
            file.unlink()  # The documents copy into one name more than once.
        result = invoke(*arguments)
        assert result.exit_code == 0, (line, result.output)
        made[line] = result.output
        tried.add(arguments[0])
    assert tried == {
        *("recipes", "show", "copy", "validate", "schema", "models", "cache"),
        *("runs", "errors", "report", "compare", "track", "tag", "note"),
    }
    assert all(name in made["ftapp recipes"] for name in recipe.bundled())


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp ctl ")])
def test_commands_to_a_run_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path))
    record_run(tmp_path)
    result = invoke(*shlex.split(line)[1:])
    assert (result.exit_code, result.output.strip()) == (2, "the run has ended (status: done), so it takes no commands")


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp plan ")])
def test_plans_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[recipe.Recipe] = []

    def planned(recipes: Sequence[recipe.Recipe], **options: object) -> list[dict[str, object]]:
        seen.extend(recipes)
        result: dict[str, object] = {
            "devices": 1,
            "precision": "float32",
            "reason": "",
            "examples": {},
            "classes": [],
            "counts": {},
            "data_notes": [],
        }
        return [result | {"warnings": [], "reading": None, "free": 0, "phases": []} for _ in recipes]

    monkeypatch.setattr("ftapp.cli.plan.make_plans", planned)
    assert invoke(*shlex.split(line)[1:]).exit_code == 0
    assert len(seen) == 1


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp lr-find ")])
def test_learning_rate_tests_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def find(resolved: recipe.Recipe, phase: int, *arguments: object, **options: object) -> dict[str, object]:
        seen.append(phase)
        raise RunError("tested")

    monkeypatch.setattr("ftapp.cli.range_test.run_range_test", find)
    assert "tested" in invoke(*shlex.split(line)[1:]).output
    assert seen == ["finetune" in line]


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp parity ")])
def test_comparisons_of_backends_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(*arguments: object, **options: object) -> None:
        raise RunError("tested")

    for module in ("cli.backend_trials", "runs.environment"):
        monkeypatch.setattr(f"ftapp.{module}.is_installed", lambda name: True)
    monkeypatch.setattr("ftapp.cli.backend_trials.compare_backends", compare)
    assert "tested" in invoke(*shlex.split(line)[1:]).output


@pytest.mark.parametrize("line", [line for line in commands() if re.match(f"ftapp ({'|'.join(_USE_A_MODEL)}) ", line)])
def test_documented_commands_about_a_model_have_valid_arguments(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    run = record_run(tmp_path / "runs")
    if "generate" in line:
        run.recipe_file.write_text(recipe.load(recipe.find("gpt2-full")).to_toml(), encoding="utf-8")
    arguments = shlex.split(line)[1:]
    for name in ("photos/", "new.csv", "prompts.txt", "photo.jpg", "reviews.txt"):
        Path(name).touch()

    def ask(*_: object, **options: object) -> None:
        raise RunError("tested")

    for asked in (
        "cli.run_prediction.run_prediction",
        "cli.ask_helper.ask_helper",
        "serving.server.listen",
        "cli.push._check_target",
    ):
        monkeypatch.setattr(f"ftapp.{asked}", ask)
    assert "tested" in invoke(*arguments).output


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("ftapp advise ")])
def test_advice_is_accepted(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("PATH").mkdir()
    Path("FILE").touch()
    seen: list[recipe.Recipe] = []

    def surveyed(asked: recipe.Recipe, *_: object, **options: object) -> Survey:
        seen.append(asked)
        return make_survey([(0.9, (0.0, 0.0))] * 5, (70, 70))

    monkeypatch.setattr("ftapp.cli.advise.survey_data", surveyed)
    monkeypatch.setattr("ftapp.data.preflight.check", lambda recipes, progress: None)  # there are no data
    result = invoke(*shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert seen[0].data.source.endswith(("/PATH", "/FILE"))
    (command,) = set(re.findall(r"ftapp run [^\"\n]+", result.output))
    test_runs_are_accepted(command.strip(), tmp_path, monkeypatch)


def test_commands_are_all_in_the_documents() -> None:
    names = {words[0] for words in command_reference.list_commands()}
    assert names == {shlex.split(line)[1] for line in commands()}


@pytest.mark.parametrize("line", [line for line in commands() if re.match("ftapp run (?!--replay)", line)])
def test_runs_are_accepted(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("PATH").mkdir(exist_ok=True)
    Path("FILE").touch()
    assert invoke("copy", "bert-clip-schedule", "mine.toml").exit_code == 0
    seen: list[tuple[object, ...]] = []

    def run_all(*arguments: object, **options: object) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr("ftapp.cli.run_recipes.run_all", run_all)
    monkeypatch.setattr(
        "ftapp.cli.run_experiment.run_experiment",
        lambda name, *arguments, **options: run_all([name], *arguments[:3]),
    )
    assert invoke(*shlex.split(line)[1:]).exit_code == 0
    names, profile, overrides, _ = seen[0]
    assert isinstance(names, list)
    assert isinstance(overrides, list)
    assert profile == "quick"
    for name in names:
        loaded = recipe.load(recipe.find(name), profile, overrides)
        changed = [override for override in overrides if override.startswith("data.source=")]
        assert all(loaded.data.source == _absolute(override) for override in changed)


@pytest.mark.parametrize("line", [line for line in commands() if re.match("ftapp sweep (?!--resume)", line)])
def test_sweeps_are_accepted(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path))
    seen: list[Experiment] = []

    def resume_experiment(sweep: Experiment, **options: object) -> int:
        seen.append(sweep)
        return 0

    monkeypatch.setattr("ftapp.cli.run_experiment.resume_experiment", resume_experiment)
    assert invoke(*shlex.split(line)[1:]).exit_code == 0
    loaded = recipe.load_experiment(seen[0].recipe_file).sweep
    assert loaded is not None
    assert list(loaded.over) == [word.partition("=")[0] for word in shlex.split(line) if word.startswith("phase.")]


def _absolute(override: str) -> str:
    scheme, _, name = override.removeprefix("data.source=").partition(":")
    return f"{scheme}:{name if scheme in ('sklearn', 'hf') else Path(name).absolute()}"


def test_pieces_of_recipes_are_valid() -> None:
    pieces = [tomllib.loads(block) for block in blocks("toml") if "[[arm]]" not in block]
    tables: dict[str, type[Section]] = {
        "augment": Augment,
        "frozen": Frozen,
        "stop": StopRule,
        "keep": Keep,
        "balance": Balance,
        "notify": Notify,
        "launch": Launch,
        "track": Track,
        "sweep": Sweep,
    }
    for piece in pieces:
        for name in tables.keys() & piece.keys():
            tables[name].model_validate(piece[name])
        Phase.model_validate({"name": "p", "steps": 1} | {key: piece[key] for key in piece.keys() - tables.keys()})
    assert {key for piece in pieces for key in piece} == {*tables, "layers", "learning_rate", "layer_decay"}
    shown = next(piece["frozen"] for piece in pieces if "frozen" in piece)
    assert shown == Frozen().model_dump()


def test_arms_are_valid(tmp_path: Path) -> None:
    (arms,) = (block for block in blocks("toml") if "[[arm]]" in block)
    file = tmp_path / "mine.toml"
    file.write_text(recipe.find("gpt2-full").read_text("utf-8").partition("[profile.quick]")[0] + arms, "utf-8")
    whole, quick = (recipe.load_experiment(file, profile).arms["B targeted"] for profile in (None, "quick"))
    assert whole.phase[0].layers == ["freeze all", "train attention & last:4"]
    assert quick.phase[0].layers == ["freeze all", "train attention & last:2"]


def test_rules_parse() -> None:
    section = page("freezing").partition("## Which layers train")[2].partition("\n## ")[0]
    listed = re.findall(r"`([^`\n]+)`", section.partition("- groups:")[2].partition("A rule that")[0])
    assert set(layer_rules.GROUPS) <= set(listed)
    for selection in listed:
        layer_rules.Rule(f"train {selection}")


def test_exit_codes() -> None:
    listed = set(map(int, re.findall(r"^\| (\d+) \|", page("batch"), re.MULTILINE)))
    assert listed == {*EXIT_CODES.values(), UNANSWERED}


def test_files_of_a_run_and_code_that_reads_them(do: Do, image_recipe: str) -> None:
    code, _, run = do(image_recipe, "phase.head.epochs=1", "augment.flip=horizontal")
    assert code == 0
    section = page("runs").partition("## What a run leaves")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `([\w./]+)` \|", section, re.MULTILINE):
        # The log is what `ftapp run` makes of the process's output, and this process has none; commands make others.
        if name not in ("train.log", "export/FORMAT/", "explanations.jsonl", "annotations.json"):
            assert (run.folder / name).exists(), name
    examples = [np.zeros((16, 16, 3), np.uint8)]
    for block in blocks("python", page("runs")):
        exec(block.replace("RUN", str(run.folder)), {"examples": examples})


_OF_COMMAND = {"recipe", "run", "replays", "model", "status", "constant", "recall", "warnings"}


def test_keys_of_the_json_result(do: Do, image_recipe: str) -> None:
    section = page("batch").partition("\n## JSON\n")[2].partition("\n## ")[0]
    text, _, phases = section.partition("Each of the phases")
    _, history, _ = do(image_recipe, "phase.head.epochs=1")
    summary = history.summary()
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == _OF_COMMAND | set(summary)
    assert set(re.findall(r"`(\w+)`", phases.partition(". ")[0])) == set(summary["phases"][0])


def test_links_and_pictures_are_there() -> None:
    made = ("reference/", "contributing.md", "changelog.md")  # while the pages are built, which checks links to them
    pictures = set()
    for name, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if target.startswith("https://") or target.removeprefix("../").startswith(made):
                continue
            assert (ROOT / name).parent.joinpath(target).is_file(), (name, target)
            pictures.add(Path(target).name if target.endswith(".svg") else None)
    assert pictures - {None} == {path.name for path in (ROOT / "docs" / "pictures").iterdir()}


def test_files_that_are_named_exist() -> None:
    for text in PAGES.values():
        for name in re.findall(r"`((?:assets|benchmarks|docs|tests|\.ci)/[\w./-]+)`", text):
            assert (ROOT / name).exists(), name


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
    assert README.count("![") == 1


async def test_picture_of_the_readme_is_the_screen_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    runs_dir = Path(shutil.copytree(outputs.RECORDED, tmp_path / "runs"))
    (shown,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    expected = pictures.read_texts((ROOT / shown).read_text("utf-8"))
    drawn: list[str] = []

    async def wait(pilot: Pilot[None]) -> None:
        nonlocal drawn
        for _ in range(60):
            drawn = pictures.read_texts(pilot.app.export_screenshot())
            if drawn == expected:
                return
            await pictures.settle(pilot, 0.5)

    try:
        await pictures.draw(dataclasses.replace(pictures.SCREENS["run"], action=wait), runs_dir)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert drawn == expected, "make pictures draws the screens as they are"


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^(\w+):  ## ", makefile, re.MULTILINE))
    named = {name for text in PAGES.values() for name in re.findall(r"(?:`|^)make (\w+)", text, re.MULTILINE)}
    assert named
    assert named <= targets


def test_environment_variables_are_listed() -> None:
    # What commands tell their processes.
    internal = {"FTAPP_LEASE", "FTAPP_TIED_TO", "FTAPP_OFFLINE", "FTAPP_VERIFY_CACHE"}
    internal |= {"FTAPP_PERSON", "FTAPP_ROLE", "FTAPP_CONFINED"}
    read = {
        name
        for path in (ROOT / "ftapp").rglob("*.py")
        for name in re.findall(r"\"(FTAPP_[A-Z_]+)\"", path.read_text("utf-8"))
    }
    listed = set(re.findall(r"^\| `(FTAPP_\w+)` \|", page("batch"), re.MULTILINE))
    assert listed == read - internal


def test_warnings_and_cautions_are_explained() -> None:
    source = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (alarms, cautions, result_warnings))
    names = set(re.findall(r"Caution\(\s*\"([\w-]+)\"", source))
    assert len(names) > 15
    table = re.findall(r"^\| (`[^|]+`) \|", page("troubleshooting"), re.MULTILINE)
    explained = {name for cell in table for name in re.findall(r"`([\w-]+)`", cell)}
    assert names <= explained


def test_rooms_are_those_of_the_import_contract() -> None:
    section = page("architecture").partition("## The packages")[2].partition("\n## ")[0]
    rows = [set(re.findall(r"`(\w+)`", cell)) for cell in re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert rows == [set(layer.split(" | ")) for layer in reversed(layers) if layer != "__main__"]
    assert set().union(*rows) == {path.parent.name for path in (ROOT / "ftapp").glob("*/__init__.py")}
