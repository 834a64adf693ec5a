"""Experiments: the order of their runs, their folders, and whether their arms were treated alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp import recipe
from ftapp.analysis import compare
from ftapp.analysis.records import read_experiment
from ftapp.cli import app
from ftapp.common.errors import RecipeError
from ftapp.experiments import experiment_creation, experiment_lookup
from ftapp.experiments.arms import add_control, list_rounds, load_recipes, schedule
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.options import Options
from ftapp.report.experiment import write_result
from ftapp.runs import run_creation, run_lookup
from tests.support.recorded_runs import record_run

LOSSES = [3.0, 2.5, 2.2, 2.0, 1.9, 1.8, 1.7, 1.6]


def made(folder: Path, repeats: int = 1, jobs: int = 1, *, batches: str = "b", weights: str = "w") -> Experiment:
    """An experiment of three arms, the second of which is the first again; the third sees `batches` from `weights`."""
    arms = {"A": (0.0, "b", "w"), "A again": (0.0, "b", "w"), "B": (0.5, batches, weights)}
    text = recipe.load(recipe.find("bert-full")).to_toml()
    experiment = experiment_creation.create("mine", "quick", text, list(arms), repeats, jobs, folder, command=["ftapp"])
    for of, arm in schedule(list(arms), list_rounds(repeats)):
        repeat, (shift, seen, digest) = of.repeat, arms[arm]
        losses = [loss + shift * (1 + repeat / 10) for loss in LOSSES]
        run = record_run(folder, f"seed={repeat}", losses=losses, batches=f"{seen}{repeat}", digest=f"{digest}{repeat}")
        experiment.add(arm, of, run)
    return experiment


def test_what_is_made_in_one_second_has_names_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = iter(["00ff", "00ff", "00ff", "1234"] * 2)
    monkeypatch.setattr(run_creation, "make_name", lambda rest: f"20260102-030405-{rest}-{next(parts)}")
    loaded = recipe.load(recipe.find("bert-full"))
    made = [run_creation.create(loaded, "mine", "quick", tmp_path).folder for _ in range(2)]
    made += [experiment_creation.create("mine", "quick", "", [], 1, 1, tmp_path).folder for _ in range(2)]
    assert [folder.name for folder in made] == [
        "20260102-030405-mine-quick-00ff",
        "20260102-030405-mine-quick-1234",
    ] * 2
    assert [run.folder for run in run_lookup.list_runs(tmp_path)] == made[1::-1]
    assert [each.folder for each in experiment_lookup.list_experiments(tmp_path)] == made[:1:-1]


def test_arms_take_turns_at_being_first() -> None:
    order = [(of.describe(2), arm) for of, arm in schedule(["A", "B"], list_rounds(2, 2))]
    assert order == [
        ("repeat 1, fold 1", "A"),
        ("repeat 1, fold 1", "B"),
        ("repeat 1, fold 2", "B"),
        ("repeat 1, fold 2", "A"),
        ("repeat 2, fold 1", "A"),
        ("repeat 2, fold 1", "B"),
        ("repeat 2, fold 2", "B"),
        ("repeat 2, fold 2", "A"),
    ]
    assert [of.describe(1) for of in list_rounds(1, 2)] == ["fold 1", "fold 2"]
    assert [of.describe(2) for of in list_rounds(2)] == ["repeat 1", "repeat 2"]


def test_a_control_is_the_first_arm_again() -> None:
    base = recipe.load(recipe.find("bert-full"))
    other = base.model_copy(update={"seed": 5})
    arms = add_control({"A": base, "B": other})
    assert list(arms) == ["A", "A again", "B"]
    assert arms["A again"] == base


@pytest.mark.parametrize("options", [Options(repeats=0), Options(jobs=-1)])
def test_options_are_numbers_of_runs(options: Options) -> None:
    with pytest.raises(RecipeError, match="is too small; the least is 1"):
        options.check()


def test_identical_arms_give_an_interval_that_contains_zero(tmp_path: Path) -> None:
    arms, result = write_result(made(tmp_path))
    assert [arm.name for arm in arms] == ["A", "A again", "B"]
    control, other = result["comparisons"]
    assert control["loss"]["low"] <= 0 <= control["loss"]["high"]
    assert other["loss"]["low"] > 0
    names = ("A", "A again", "B")
    assert result["hashes"]["weights"] == [dict.fromkeys(names, "w1")]
    assert result["hashes"]["batches"] == [dict.fromkeys(names, "b1")]
    assert "All arms began from bitwise the same weights (hash w1)." in result["notes"]
    assert result["notes"][-1] == (
        "Noise: the control, A again, differs from it by 0 in loss, 0.0 points in accuracy, 0% in time."
    )
    folder = Path(result["experiment"])
    assert json.loads((folder / "result.json").read_text("utf-8"))["comparisons"] == result["comparisons"]
    assert "saw the same examples in the same order" in (folder / "report.html").read_text("utf-8")


def test_repeats_are_paired_and_speak_of_seeds(tmp_path: Path) -> None:
    _, result = write_result(made(tmp_path, repeats=3))
    loss = result["comparisons"][1]["loss"]
    assert loss["of_seeds"]
    assert loss["estimate"] == pytest.approx(0.5 * 1.2)
    assert [set(each.values()) for each in result["hashes"]["weights"]] == [{"w1"}, {"w2"}, {"w3"}]
    assert "every other repeat in the opposite order" in result["notes"][0]


def test_arms_of_other_batches_or_weights_are_found_out(tmp_path: Path) -> None:
    _, result = write_result(made(tmp_path, batches="x", weights="y"))
    assert result["hashes"]["weights"] == [{"A": "w1", "A again": "w1", "B": "y1"}]
    assert "Against A these did not begin from the same weights: B." in result["notes"]
    assert result["comparisons"][1]["loss"] is None
    assert result["comparisons"][1]["reasons"]["loss"] == "the runs did not see the same batches"


def test_times_of_runs_that_went_on_at_once_are_not_compared(tmp_path: Path) -> None:
    experiment = made(tmp_path, jobs=2)
    for run in [run for found in experiment.group_runs().values() for run in found.values()]:
        file = run.folder / "environment.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"jobs": 2}), encoding="utf-8")
    _, result = write_result(experiment)
    assert result["comparisons"][0]["saved"] is None
    assert "--jobs" in result["comparisons"][0]["reasons"]["saved"]


def test_a_repeat_that_lacks_an_arm_is_left_out(tmp_path: Path) -> None:
    experiment = made(tmp_path, repeats=2)
    last = experiment.list_members()[-1].run
    last.recipe_file.unlink()
    assert {name: len(found) for name, found in experiment.group_runs().items()} == {"A": 1, "A again": 1, "B": 1}
    for member in experiment.list_members():
        member.run.recipe_file.unlink()
    arms, result = write_result(experiment)
    assert (arms, result["report"]) == ([], None)


def test_features_that_arms_share_are_charged_to_each(tmp_path: Path) -> None:
    """The recorded runs took half a second each for the same features, of which one run would pay."""
    experiment = made(tmp_path)
    first, again, _ = read_experiment(experiment)
    found = compare.compare_arms(first, again).saved
    assert found is not None
    assert found.estimate == pytest.approx(0)


def test_the_commands_take_experiments(tmp_path: Path) -> None:
    experiment = made(tmp_path)
    done = CliRunner().invoke(app.app, ["report", experiment.folder.name, "--runs-dir", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == str(experiment.report_file)
    assert experiment.report_file.is_file()
    done = CliRunner().invoke(app.app, ["compare", str(experiment.folder), "--json"])
    assert [each["b"] for each in json.loads(done.stdout)["comparisons"]] == ["A again", "B"]


def test_an_experiment_tells_how_it_stands(tmp_path: Path) -> None:
    experiment = made(tmp_path)
    done = ["done"] * 3
    assert experiment.status(done) == "crashed"  # there is no result
    with experiment.hold():
        assert experiment.status(["done", "running"]) == "running"
    write_result(experiment)
    assert experiment.status(done) == "done"
    assert experiment.status(["done", "failed", "done"]) == "failed"
    assert experiment.status(["done", "interrupted", "done"]) == "interrupted"
    assert experiment.status(["done", "unfinished"]) == "unfinished"
    assert experiment.status(["done", "running", "done"]) == "running"  # it has ended since that was seen
    facts = experiment.facts
    experiment.write_facts(facts | {"runs": facts["runs"][:2]})
    assert experiment.status(done[:2]) == "interrupted"


def test_what_is_prepared_reads_back_to_the_same_arms(tmp_path: Path) -> None:
    path = recipe.find("lesson-bert-frozen-attention")
    overrides = ['phase.finetune.layers=["freeze embeddings"]', "phase.finetune.epochs=1", "seed=3"]
    experiment = experiment_creation.prepare(path, "quick", overrides, Options(2, 1, True), tmp_path, command=["ftapp"])
    given = recipe.load_experiment(path, "quick", overrides)
    assert load_recipes(experiment) == add_control(given.arms)
    assert given.changes["A full"] == given.changes["C head only"] == {}
    assert set(given.changes["D steadied"]["phase"]["finetune"]) == {"schedule", "warmup", "clip_norm"}
    assert experiment.planned == 10
    assert recipe.load_experiment(experiment.recipe_file).findings == given.findings


def test_a_recipe_without_arms_is_the_only_arm(tmp_path: Path) -> None:
    options = Options(control=True)
    experiment = experiment_creation.prepare(recipe.find("bert-full"), None, [], options, tmp_path, command=["ftapp"])
    assert list(load_recipes(experiment)) == ["bert-full", "bert-full again"]


def test_the_list_of_runs_tells_of_experiments(tmp_path: Path) -> None:
    experiment = made(tmp_path)
    write_result(experiment)
    run = experiment.list_members()[0].run
    file = run.folder / "environment.json"
    result = {"experiment": experiment.folder.name, "arm": "A", "repeat": 1}
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | result), encoding="utf-8")
    rows = json.loads(CliRunner().invoke(app.app, ["runs", "--json", "--runs-dir", str(tmp_path)]).stdout)
    found = {Path(row["run"]).name: (row["experiment"], row["arm"], row["repeat"]) for row in rows}
    assert found.pop(run.folder.name) == (experiment.folder.name, "A", 1)
    assert set(found.values()) == {(None, None, None)}
    text = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path)]).stdout
    line = next(line for line in text.splitlines() if experiment.folder.name in line)
    assert " ".join(line.split()) == f"{experiment.folder.name} done 3 of 3 A, A again, B"


def test_an_override_of_one_arm_and_one_of_the_recipe_hold_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    text = recipe.find("lesson-bert-frozen-attention").read_text("utf-8")
    file.write_text(text.replace("D steadied", "D 0.1 steadied"), encoding="utf-8")
    one, all_arms = 'arm."D 0.1 steadied".phase.finetune.warmup=0.3', "phase.finetune.warmup=0.2"
    for overrides, expected in [([all_arms, one], 0.3), ([one, all_arms], 0.2)]:
        given = recipe.load_experiment(file, "quick", overrides)
        assert [arm.phase[0].warmup for arm in given.arms.values()] == [0.2, 0.2, 0.2, expected]
        assert recipe.read_tables(file, "quick", overrides, "D 0.1 steadied")["phase"][0]["warmup"] == expected
        saved = tmp_path / f"{expected}.toml"
        saved.write_text(given.to_toml(), encoding="utf-8")
        assert recipe.load_experiment(saved) == given


def test_phases_of_an_arm_take_an_override_of_the_recipe(tmp_path: Path) -> None:
    phases = 'arm.A full.phase=[{name="head", steps=3}, {name="finetune", steps=5}]'
    path = recipe.find("lesson-bert-frozen-attention")
    given = recipe.load_experiment(path, "quick", [phases, "phase.finetune.epochs=2"])
    own = given.arms["A full"]
    assert [(phase.name, phase.steps, phase.epochs) for phase in own.phase] == [
        ("head", 3, None),
        ("finetune", None, 2),
    ]
