"""`ftapp plan` on tiny recipes, in real processes: what it foretells is what the run then does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftapp import recipe
from ftapp.training import cost_estimate
from tests.conftest import Do
from tests.support.families import FAMILIES
from tests.support.quick_starts import make_command


def planned(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = folder / "planned.toml"
    file.write_text(text, encoding="utf-8")
    command = make_command("ftapp.cli", "plan", str(file), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_it_foretells_what_the_run_does(image_recipe: str, do: Do, tmp_path: Path) -> None:
    second = '[[phase]]\nname = "block"\nlayers = ["freeze all", "train block2, head"]\nsteps = 12\nbatch_size = 8\n'
    sets = ("evaluate.every=5", "keep.best=loss")
    done = planned(tmp_path, image_recipe + second, "--json", *(word for each in sets for word in ("--set", each)))
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    _, history, _ = do(image_recipe + second, *sets)
    assert history.data is not None
    assert made["examples"] == {"train": history.data.train, "validation": 8, "test": 10}
    assert made["counts"] == history.data.counts == {"train": [11, 11], "validation": [4, 4], "test": [5, 5]}
    assert made["classes"] == history.summary()["classes"] == ["across", "down"]
    for phase, report in zip(made["phases"], history.summary()["phases"], strict=True):
        assert phase["name"] == report["name"]
        assert phase["steps"] == report["steps"] == report["outcome"]["steps"]
        assert phase["trainable_share"] == report["trainable_share"]
        assert phase["cache"] == report["cache"]
        expected = {name: value for name, value in report["estimate"].items() if name != "seconds"}
        assert expected.items() <= phase["estimate"].items()
        assert phase["estimate"]["seconds"] > 0
    head, block = made["phases"]
    # After 5 and 10, 15, 20, and the last step of each phase; the first also has one before training.
    assert [phase["estimate"]["evaluations"] for phase in made["phases"]] == [3, 4]
    assert len([each for each in history.evaluations if not each.final]) == 7
    assert head["cache"]["layers"] == ["block1_conv1", "block2_conv1", "block2_conv2"]
    assert [row["path"] for row in head["layers"] if row["trainable"]] == ["classifier"]
    rules = {row["path"]: row["rule"] for row in block["layers"]}
    assert rules["block1_conv1"] == "freeze all"
    assert rules["block2_conv1"] == rules["classifier"] == "train block2, head"
    # Adam's two slots; and the head's 4 * 2 + 2 weights.
    assert head["estimate"]["gradients"] == 4 * 14
    assert head["estimate"]["optimizer"] == 2 * head["estimate"]["gradients"]
    assert head["estimate"]["flops"] < head["estimate"]["flops_uncut"] / 100


def test_it_tells_the_check_of_int8_features(image_recipe: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    text = image_recipe + '[frozen]\nengine = "openvino"\ndtype = "int8"\n'
    done = planned(tmp_path, text, "--json")
    assert done.returncode == 0, done.stderr
    (phase,) = json.loads(done.stdout)["phases"]
    assert phase["cache"]["quantization"]["accepted"]
    assert phase["int8_saves"] is None, "the recipe has int8 already"
    assert "OpenVINO computes them in int8: cosine" in " ".join(planned(tmp_path, text).stdout.split())


def test_it_draws_a_tree(lm_recipe: str, tmp_path: Path) -> None:
    done = planned(tmp_path, lm_recipe)
    assert done.returncode == 0, done.stderr
    assert "phase finetune:" in done.stdout
    assert "frozen  token_embedding" in done.stdout
    assert "trains  self_attention" in done.stdout
    assert "train attention & last:1" in done.stdout
    assert "none: the phase sees each example once" in done.stdout
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"train head"', '"train haed"', "did you mean 'head'?"),
        ("epochs = 3", "epoch = 3", "did you mean 'epochs'?"),
    ],
)
def test_a_bad_recipe_is_refused(image_recipe: str, tmp_path: Path, old: str, new: str, message: str) -> None:
    done = planned(tmp_path, image_recipe.replace(old, new))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_model_whose_shapes_cannot_be_told_has_no_estimate() -> None:
    neox = FAMILIES["GPTNeoXBackbone"].make()
    assert cost_estimate.list_calls(recipe.load(recipe.bundled()["gpt2-targeted"], "quick"), neox) is None


def test_each_arm_has_a_plan(image_recipe: str, tmp_path: Path) -> None:
    arms = '[[arm]]\nname = "full"\nphase.head.layers = []\n[[arm]]\nname = "frozen"\n'
    done = planned(tmp_path, image_recipe + arms, "--json")
    assert done.returncode == 0, done.stderr
    made = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["arm"] for each in made] == ["full", "frozen"]
    full, frozen = (each["phases"][0]["trainable_share"] for each in made)
    assert full == 1
    assert frozen < 1
