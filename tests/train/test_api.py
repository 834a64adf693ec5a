"""The Python interface: `import ftapp`, with real processes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ftapp
from ftapp.runs import run_creation
from ftapp.runs.events import RunEnded
from tests.support.documents import blocks, page
from tests.support.presets import Tiny
from tests.support.recipes import DIVERGES, without_samples

pytestmark = pytest.mark.usefixtures("quickly_started")


@pytest.fixture
def file(tmp_path: Path, text_recipe: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    path = tmp_path / "tiny.toml"
    layers = '["freeze embeddings", "freeze attention"]'
    assert layers in text_recipe
    path.write_text(text_recipe.replace(layers, '["freeze all", "train head"]'), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_script_trains_resumes_compares_and_uses_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ftapp.run(file, overrides={"phase.finetune.steps": 4, "evaluate.every": 2})
    kinds = [type(event) for event in run.follow()]
    assert kinds[-1] is RunEnded
    result = run.wait(timeout=60)
    assert (run.status, result["status"], result["steps"], result["recipe"]) == ("done", "done", 4, "tiny")
    assert result == run.result
    assert json.loads(json.dumps(result))["metrics"] == result["metrics"]
    assert run.steps["step"] == [1, 2, 3, 4]
    assert run.steps["loss"] == [step.loss for step in run.history.steps]
    assert set(run.steps) >= {"epoch", "rate", "seconds", "memory", "accuracy"}
    assert [(each["step"], each["final"]) for each in run.evaluations][-1] == (4, True)
    assert run.evaluations[-1]["accuracy"] == result["metrics"]["accuracy"]

    with pytest.raises(ftapp.RunError, match=r"reached its end, after 4 steps; .* --steps 100"):
        ftapp.resume(run)
    assert ftapp.resume(run, steps=2).wait(narrate=True)["steps"] == 6
    assert "the run goes on after step 4" in capsys.readouterr().err
    assert run.recipe.phase[0].steps == 6

    other = ftapp.run(ftapp.load_recipe(file, overrides=["phase.finetune.steps=6", "seed=5"]), name="Other one")
    other.wait()
    assert "-other-one-" in other.name
    assert [each.name for each in ftapp.list_runs()] == [other.name, run.name]
    assert ftapp.find_run().folder == other.folder
    assert ftapp.find_run(run.name).recipe == run.recipe
    (comparison,) = ftapp.compare([run, other.name])
    assert comparison.reasons["loss"]  # other seeds have other batches
    with pytest.raises(ftapp.RunError, match="1 run cannot be compared"):
        ftapp.compare([run])

    model = ftapp.load_model(other)
    assert ftapp.load_model(other.folder / "model").classes == model.classes
    scores = model.predict(["a fine film", "a dull film"])
    assert scores.shape == (2, len(model.classes))
    texts = file.with_name("texts.txt")
    texts.write_text("a fine film\na dull film\n", encoding="utf-8")
    rows = ftapp.predict(other, [texts], scores=True)
    assert [row.name for row in rows] == ["a fine film", "a dull film"]
    assert [row.answer for row in rows] == [model.classes[best] for best in scores.argmax(axis=1)]
    with pytest.raises(ftapp.RunError, match=r"there is no file or folder '.*none\.csv'"):
        ftapp.predict(other, [texts, "none.csv"])
    outcome = ftapp.evaluate(other)
    assert outcome["equal_to_run"]
    assert outcome["metrics"]["accuracy"]["value"] == other.evaluations[-1]["accuracy"]
    table = file.with_name("other.csv")
    table.write_text(f"text,label\na fine film,{model.classes[0]}\na dull film,{model.classes[1]}\n", encoding="utf-8")
    columns = {"data.text_column": "text", "data.label_column": "label"}
    assert ftapp.evaluate(other, f"csv:{table}", split="all", overrides=columns)["examples"] == 2
    with pytest.raises(ftapp.RunError, match=r"model\.head=linear: only keys of \[data\]"):
        ftapp.evaluate(other, f"csv:{table}", overrides={"model.head": "linear"})
    with pytest.raises(ftapp.RunError, match="max_seconds is a number above 0; got -1"):
        ftapp.resume(other, max_seconds=-1)
    with pytest.raises(ftapp.RunError, match="no source is given"):
        ftapp.evaluate(other, split="all")
    with pytest.raises(ftapp.RunError, match="does not write text"):
        ftapp.generate(other, ["a film"])
    with pytest.raises(ftapp.RunError, match="there is no format 'tflite'; did you mean 'litert'"):
        ftapp.export(other, "tflite")
    with pytest.raises(ftapp.RunError, match="onnx has no int8; int8 is for openvino and litert"):
        ftapp.export(other, "onnx", int8=True)
    assert model.predict([]).shape == (0, len(model.classes))
    with pytest.raises(TypeError, match=r"'a fine film' is one example; give a list, such as \['a fine film'\]"):
        model.predict("a fine film")
    with pytest.raises(TypeError, match="example 1 is of the type int; the model takes texts"):
        model.predict(["a fine film", 1])
    with pytest.raises(ftapp.RunError, match="a run becomes longer by 1 or more, not by -2"):
        ftapp.resume(run, steps=-2)
    with pytest.raises(TypeError, match=r"one run came in place of a list; .* such as \[run, other\]"):
        ftapp.compare("last")
    with pytest.raises(TypeError, match=r"'texts.csv' came in place of a list; give one, such as \['texts.csv'\]"):
        ftapp.predict(other, "texts.csv")
    with pytest.raises(ftapp.RunError, match="has ended"):
        other.stop()


@pytest.mark.slow
def test_a_language_model_continues_prompts(file: Path, lm_recipe: str) -> None:
    file.write_text(without_samples(lm_recipe), encoding="utf-8")
    run = ftapp.run(file, overrides={"phase.finetune.steps": 2})
    run.wait()
    texts = ftapp.generate(run, ["the dog", "the cat"], tokens=3, seed=4)
    assert [each.prompt for each in texts] == ["the dog", "the cat"]
    assert all(each.text and each.tokens == 3 for each in texts)
    assert ftapp.generate(run, ["the cat"], tokens=3, seed=4)[0].text == texts[1].text
    with pytest.raises(ftapp.RunError, match=r"top_p is above 0 and at most 1, .*; got 1\.5"):
        ftapp.generate(run, ["the cat"], top_p=1.5)
    with pytest.raises(TypeError, match=r"one prompt came in place of a list; give one, such as \['the cat'\]"):
        ftapp.generate(run, "the cat")


def test_a_run_that_fails_raises_the_reason(file: Path, image_recipe: str) -> None:
    file.write_text(image_recipe, encoding="utf-8")
    with pytest.raises(ftapp.RunError, match=r"tiny-.* failed: .*loss"):
        ftapp.run(file, overrides=DIVERGES).wait()


def test_waiting_ends_and_the_run_goes_on_until_it_is_stopped(file: Path, image_recipe: str) -> None:
    file.write_text(image_recipe, encoding="utf-8")
    run = ftapp.run(file, overrides={"phase.head.steps": 100_000, "evaluate.every": 100_000})
    with pytest.raises(TimeoutError, match="goes on"):
        run.wait(timeout=0.2)
    assert run.status == "running"
    with pytest.raises(ftapp.RunError, match="has no model"):
        ftapp.load_model(run)
    while not run.history.steps:
        assert run.status == "running"
    run.stop()
    assert run.wait(timeout=60)["status"] == "interrupted"
    assert ftapp.load_model(run).classes


def test_a_plan_is_made_where_an_event_loop_runs(file: Path) -> None:
    async def notebook() -> dict[str, Any]:
        return ftapp.plan(file)

    assert 0 < asyncio.run(notebook())["phases"][0]["trainable_share"] < 1


def test_recipes_are_refused_with_reasons(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ftapp.RecipeError, match="did you mean 'vgg16-two-phase'"):
        ftapp.load_recipe("vgg16-two-phases")
    with pytest.raises(ftapp.RecipeError, match="experiment with the arms"):
        ftapp.run("lesson-vgg16-two-phase")
    with pytest.raises(ftapp.RecipeError, match="experiment of 3 folds"):
        ftapp.load_recipe(file, overrides={"data.folds": 3})
    assert ftapp.load_recipe(file, overrides={"data.folds": 3, "data.fold": 2}).data.fold == 2
    with pytest.raises(ftapp.RecipeError, match="overrides came beside a recipe that is loaded"):
        ftapp.run(ftapp.load_recipe(file), overrides={"seed": 1})
    with pytest.raises(ftapp.RecipeError, match="learning_rate"):
        ftapp.load_recipe(file, overrides={"phase.finetune.learning_rate": -1})
    with pytest.raises(ftapp.RunError, match="is not the folder of a run"):
        ftapp.Run(tmp_path)
    with pytest.raises(ftapp.RecipeError, match="there is no run 'x'"):
        ftapp.find_run("x")
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = ftapp.trian
    assert ftapp.load_recipe(file, overrides={"evaluate.every": None}).evaluate.every != 4


def test_changes_are_values_of_python_and_numpy(file: Path, tiny: Tiny) -> None:
    changes = {
        "seed": np.int64(3),
        "phase.finetune.learning_rate": np.float64(0.25),
        "model.preset": tiny.bert,
        "model.hidden": np.array([8, 4]),
    }
    recipe = ftapp.load_recipe(file, overrides=changes)
    assert (recipe.seed, recipe.phase[0].learning_rate, recipe.model.hidden) == (3, 0.25, [8, 4])
    assert recipe.model.preset == str(tiny.bert)
    assert ftapp.load_recipe(file, overrides="seed=4").seed == 4
    with pytest.raises(ftapp.RecipeError, match=r"seed: \{1\} is no text, path, number, truth value, list or table"):
        ftapp.load_recipe(file, overrides={"seed": {1}})


def test_experiments_and_their_folds_are_no_runs_to_compare(file: Path, tmp_path: Path) -> None:
    experiment = tmp_path / "runs" / "experiments" / "20260101-000000-tiny-0000"
    experiment.mkdir(parents=True)
    (experiment / "experiment.json").write_text("{}", encoding="utf-8")
    (experiment / "recipe.toml").write_text("", encoding="utf-8")
    with pytest.raises(ftapp.RunError, match="is the folder of an experiment"):
        ftapp.Run(experiment)
    folds = [ftapp.load_recipe(file, overrides={"data.folds": 2, "data.fold": fold}) for fold in (1, 2)]
    runs = [run_creation.create(recipe, "tiny", None, tmp_path / "runs") for recipe in folds]
    with pytest.raises(ftapp.RunError, match="the runs are folds of one job, which are not compared"):
        ftapp.compare([run.folder for run in runs])


@pytest.mark.slow
def test_code_of_the_python_page(
    image_recipe: str, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    code = "".join(blocks("python", page("python")))
    assert code.count('"vgg16-feature-extractor", profile="quick"') == 3
    code = code.replace('"vgg16-feature-extractor", profile="quick"', repr(str(file)))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny.photos, "photos")
    exec(code, {"examples": [np.zeros((16, 16, 3), np.uint8)]})
    output = capfd.readouterr().out
    assert "done {" in output
    assert "RunEnded" in output
    assert re.search(r"/export/saved_model (\d+) of \1\n", output)
    assert "training loss" in output
    assert re.search(r"down/\d+\.png (down|across) \(\('", output)
