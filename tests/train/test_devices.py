"""Batches or weights that two virtual devices of JAX share: the losses of one, the freeze proof, an exact resume."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras_hub
import numpy as np
import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.models import saved_model
from ftapp.models.distribution import share_weights
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from tests.support.backends import QUICK_XLA
from tests.support.family_presets import save_preset
from tests.support.recipes import without_samples

# Batches of 8 and of the last 6 are shared; those of 7, and the last one of 1, are computed whole on each device.
LATER = """
[[phase]]
name = "block"
layers = ["freeze all", "train block2", "train head"]
steps = 6
batch_size = 7
learning_rate = 0.001
"""
SETS = ("backend=jax", "precision=float32", "model.dropout=0.3", "model.hidden=[4]", "model.normalize=true")
KEPT = ("checkpoint.every_steps=1", "checkpoint.keep=1000")
# One process for all runs: most of the time goes into imports.
SCRIPT = """
import json, sys
from pathlib import Path
from ftapp import recipe
from ftapp.runs import run_creation
from ftapp.workers import planner, run as worker
from tests.support.checkpoints import cut_back
file, folder, trials = sys.argv[1:]
folders = {}
for name, sets in json.loads(trials).items():
    loaded = recipe.load(Path(file), None, sets)
    run = run_creation.create(loaded, name, None, Path(folder))
    folders[name] = str(run.folder)
    worker.main(run.folder)
resumed = cut_back(run, 11)
worker.main(resumed.folder)
alone = loaded.model_copy(update={"devices": 1, "parallel": "data"})
estimates = [planner.plan(each, lambda *_: None)["phases"][0]["estimate"] for each in (loaded, alone)]
print(json.dumps([folders | {"resumed": str(resumed.folder)}, estimates]))
"""


MEMORY = ("weights", "gradients", "optimizer", "activations")


def train(text: str, folder: Path, trials: dict[str, list[str]]) -> tuple[dict[str, RunFolder], dict[str, float]]:
    """Train a recipe with each of some overrides, and resume the last run from step 11.

    Returns:
        (the runs by name, "resumed" among them; the memory that a plan tells for each device of the last one, as a
        share of what it tells for one device afterwards in the same process).
    """
    file = folder / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, str(file), str(folder / "runs"), json.dumps(trials)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": QUICK_XLA}
    done = subprocess.run(command, env=environment, check=True, timeout=300, stdout=subprocess.PIPE, text=True)
    runs, (shared, alone) = json.loads(done.stdout.splitlines()[-1])
    assert (shared["devices"], alone["devices"]) == (2, 1)
    shares = {name: shared[name] / alone[name] for name in MEMORY}
    return {name: RunFolder(Path(path)) for name, path in runs.items()}, shares


def test_other_backends_refuse_several_devices(image_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"on JAX alone: set backend = 'jax', or devices = 1"):
        recipe.load(file, None, ["devices=2"])
    with pytest.raises(RecipeError, match=r"'model' does not go with devices = 1; .* set devices = 2"):
        recipe.load(file, None, ["backend=jax", "parallel=model"])


def test_weights_that_kerashub_does_not_divide_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"of BertBackbone, only those of GemmaBackbone, .*; set parallel = 'data'"):
        share_weights(2, keras_hub.models.BertBackbone)


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_train_as_one_and_resume_exactly(image_recipe: str, tmp_path: Path) -> None:
    sets = [*SETS, *KEPT]
    trials = {f"on-{devices}": [*sets, f"devices={devices}"] for devices in (1, 3, 2)}
    runs, shares = train(image_recipe + LATER, tmp_path, trials)
    assert shares == {"weights": 1, "gradients": 1, "optimizer": 1, "activations": 0.5}
    history = {name: History.of(read(run.events_file)) for name, run in runs.items()}
    refused = history["on-3"].ended
    assert refused is not None
    assert refused.status == "refused"
    assert "trains on 3 devices, and JAX has 2 devices here; the most is --set devices=2" in str(refused.error)
    single, shared, again = history["on-1"], history["on-2"], history["resumed"]
    assert shared.started is not None
    assert shared.started.device.startswith("2 devices, the first cpu:0")
    assert list(shared.steps.loss) == pytest.approx(list(single.steps.loss), rel=1e-5)
    assert [each.loss for each in shared.evaluations] == pytest.approx(
        [each.loss for each in single.evaluations], rel=1e-5
    )
    for ended, expected in zip(shared.ended_phases, single.ended_phases, strict=True):
        assert (ended.changed, ended.stuck, ended.frozen) == ([], [], expected.frozen)
    assert shared.phases[0].cache is not None
    assert shared.phases[0].cache.cached
    assert [each.inexact for each in again.resumed] == [[]]
    assert again.saved is not None
    assert shared.saved is not None
    assert again.saved.weights == shared.saved.weights
    loaded = saved_model.load(runs["on-2"].model_folder)  # on TensorFlow
    assert loaded.classes == ("across", "down")


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_share_weights_and_train_as_one(lm_recipe: str, tmp_path: Path) -> None:
    save_preset("llama3", tmp_path / "llama3")
    layers = 'layers=["freeze all", "train last:1", "lora:2 query & first:1"]'
    preset = f"model.preset={tmp_path / 'llama3'}"
    both = ["devices=2", "parallel=model"]
    llama = ["backend=jax", "precision=float32", *KEPT, preset, f"phase.finetune.{layers}"]
    runs, shares = train(without_samples(lm_recipe), tmp_path, {"one": llama, "two": [*llama, *both]})
    # The embedding of 263 tokens, norms, and the factors of adapters are whole on each device.
    assert 0.8 < shares["weights"] < 0.85
    assert 0.5 < shares["gradients"] == shares["optimizer"] < 0.6
    assert shares["activations"] == 1
    history = {name: History.of(read(run.events_file)) for name, run in runs.items()}
    single, shared, again = history["one"], history["two"], history["resumed"]
    assert list(shared.steps.loss) == pytest.approx(list(single.steps.loss), rel=1e-5)
    assert [each.loss for each in shared.evaluations] == pytest.approx(
        [each.loss for each in single.evaluations], rel=1e-5
    )
    (ended,), (expected,) = shared.ended_phases, single.ended_phases
    assert (ended.changed, ended.stuck, ended.frozen) == ([], [], expected.frozen)
    assert ended.digest == expected.digest
    assert again.saved is not None
    assert shared.saved is not None
    assert again.saved.weights == shared.saved.weights
    inputs = {"token_ids": np.arange(1, 9)[None], "padding_mask": np.ones((1, 8), bool)}
    of_one, of_two = (saved_model.load(runs[name].model_folder).model.predict(inputs) for name in ("one", "two"))
    np.testing.assert_allclose(of_two, of_one, rtol=1e-4, atol=1e-5)
