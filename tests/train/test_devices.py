"""Batches that two virtual devices of JAX share: the losses of one device, equal replicas, and an exact resume."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.models import saved_model
from ftapp.runs.event_reader import read
from ftapp.runs.history import History
from tests.support.backends import QUICK_XLA

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
# One process for all runs: most of the time goes into imports.
SCRIPT = """
import sys
from pathlib import Path
from ftapp import recipe
from ftapp.runs import run_folder
from ftapp.workers import run as worker
from tests.support.checkpoints import cut_back
file, folder, *sets = sys.argv[1:]
for devices in (1, 3, 2):
    loaded = recipe.load(Path(file), None, [*sets, f"devices={devices}"])
    run = run_folder.create(loaded, f"on-{devices}", None, Path(folder))
    worker.main(run.folder)
worker.main(cut_back(run, 11).folder)
"""


def test_other_backends_refuse_several_devices(image_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"on JAX alone: set backend = 'jax', or devices = 1"):
        recipe.load(file, None, ["devices=2"])


@pytest.mark.backends
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_train_as_one_and_resume_exactly(image_recipe: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "tiny.toml", tmp_path / "runs"
    file.write_text(image_recipe + LATER, encoding="utf-8")
    sets = [*SETS, "checkpoint.every_steps=1", "checkpoint.keep=1000"]
    command = [sys.executable, "-c", SCRIPT, str(file), str(folder), *sets]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_NUM_CPU_DEVICES": "2", "XLA_FLAGS": QUICK_XLA}
    subprocess.run(command, env=environment, check=True, timeout=300)
    runs = sorted(path for path in folder.iterdir() if path.is_dir())
    one, two, resumed, three = (
        next(path for path in runs if f"on-{number}" in path.name and path.name.endswith("-11") is is_copy)
        for number, is_copy in ((1, False), (2, False), (2, True), (3, False))
    )
    history = {path: History.of(read(path / "events.jsonl")) for path in runs}
    refused = history[three].ended
    assert refused is not None
    assert refused.status == "refused"
    assert "shares batches over 3 devices, and JAX has 2 devices here; the most is --set devices=2" in str(
        refused.error
    )
    single, shared, again = history[one], history[two], history[resumed]
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
    loaded = saved_model.load(two / "model")  # on TensorFlow
    assert loaded.classes == ("across", "down")
