"""Runs with a saved model and without a training, and exports of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

from ftapp import data, recipe
from ftapp.data.dataset import NumberScale
from ftapp.models import build, saved_model
from ftapp.rpc.messages import Exported
from ftapp.rpc.server import Request
from ftapp.runs import run_creation
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.export_requests import export
from tests.support.presets import set_weights


def save_run(text: str, folder: Path, *overrides: str, precision: str = "float32") -> RunFolder:
    """Make the folder of a run whose model has random weights in its head, and mean and variance where it normalizes.

    Args:
        text: The recipe.
        folder: Where the folders of runs are made.
        overrides: Further keys of the recipe.
        precision: Keras's policy while the model is built.
    """
    file = folder / "tiny.toml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    loaded = recipe.load(file, None, overrides)
    run = run_creation.create(loaded, "tiny", None, folder / "runs")
    splits = data.read(loaded)
    classes = splits.classes if isinstance(splits, data.Splits) else ()
    keras.config.set_dtype_policy(precision)
    try:
        pretrained = build.load_pretrained(loaded)
        scale = NumberScale(2500.0, 800.0) if recipe.TASKS[loaded.task].labels == "numbers" else None
        model = build.build(loaded, pretrained, len(classes), scale)
        random = np.random.default_rng(7)
        for layer in model.layers:
            if layer.name in ("classifier", "head_normalization"):
                for variable in layer.weights:
                    low = 0.2 if "variance" in variable.path else -1.0
                    variable.assign(random.uniform(low, 1.0, variable.shape))
        saved_model.save(run.model_folder, loaded, pretrained, model, classes, {})
    finally:
        keras.config.set_dtype_policy("float32")
    return run


def save_vit(folder: Path) -> Path:
    """Make the preset of a tiny ViT, whose images have 8 x 8 pixels."""
    backbone = keras_hub.models.ViTBackbone((8, 8, 3), (4, 4), 2, 2, 8, 16)
    set_weights(backbone, 4)
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.ViTImageConverter(
        image_size=(8, 8), scale=[1 / 127.5, 1 / 120, 1 / 110], offset=[-1.0, -0.9, -0.8]
    )
    keras_hub.models.ViTImageClassifierPreprocessor(converter).save_to_preset(str(folder))
    return folder


def export_run(run: RunFolder, to: str, folder: Path, **options: Any) -> Exported:
    """Export a run's model in this process."""
    request = Request(1, "", {}, lambda line: None)
    given = {"int8": False, "examples": 50, "replaces": False} | options
    return export(request, str(run.folder), to, str(folder), **given)


_EXECUTE = """
import contextlib, gc, io, json, os, sys
gc.disable()  # it takes a quarter of an import of Keras
sys.modules["ftapp"] = None
found = []
for code, folder in json.load(sys.stdin):
    os.chdir(folder)
    sys.path.insert(0, folder)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {"__name__": "__main__"})
    found.append(printed.getvalue())
    sys.path.remove(folder)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(folder):
            del sys.modules[name]
print(json.dumps(found))
"""


def execute(programs: Sequence[tuple[str, Path]]) -> list[str]:
    """Execute programs in the folders of exports, in one process that finds no ftapp: what each of them prints.

    To import what they need takes most of their time.

    Args:
        programs: The code and the folder of each.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", _EXECUTE],
        input=json.dumps([[code, str(folder)] for code, folder in programs]),
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found
