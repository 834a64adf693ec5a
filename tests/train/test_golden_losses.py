"""The losses of tiny recipes, which stay the same on each backend."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftapp.analysis.metrics.scores import score_classes
from ftapp.runs.event_reader import read
from ftapp.runs.phase_events import Stepped
from tests.conftest import Do
from tests.support.backends import BACKENDS_SLOW_BUT_FIRST, ON_OTHER_BACKENDS, OWN_BACKEND
from tests.support.files import FIXTURES
from tests.support.processes import Start

# Losses of the first three steps of each tiny recipe, from real runs; by task and backend, since each backend draws a
# head's first weights its own way. FTAPP_RECORD_GOLDEN=1 records those of this machine instead of comparing.
GOLDEN = FIXTURES / "golden_losses.json"


@pytest.mark.parametrize(
    ("task", "backend"),
    [
        # Images are trained as users train them.
        *(pytest.param("image", *each.values, marks=each.marks) for each in BACKENDS_SLOW_BUT_FIRST),
        *(pytest.param(task, *BACKENDS_SLOW_BUT_FIRST[0].values) for task in ("text", "lm")),
    ],
)
def test_tiny_recipes_give_their_golden_losses(
    task: str, backend: str, request: pytest.FixtureRequest, start: Start, tmp_path: Path
) -> None:
    (tmp_path / f"{task}.toml").write_text(request.getfixturevalue(f"{task}_recipe"), encoding="utf-8")
    options = ("--backend", backend, "--precision", "float32", "--json")
    process = start(f"{task}.toml", *options, is_real=task == "image")
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    (line,) = stdout.splitlines()
    result = json.loads(line)
    assert (result["recipe"], result["status"]) == (task, "done")
    assert (Path(result["run"]) / "train.log").is_file()
    check_result(result, Path(result["run"]), task, backend)


@ON_OTHER_BACKENDS
@pytest.mark.parametrize("task", ["text", "lm"])
def test_golden_losses_of_texts_on_other_backends(task: str, do: Do, request: pytest.FixtureRequest) -> None:
    code, history, run = do(request.getfixturevalue(f"{task}_recipe"), OWN_BACKEND, "precision=float32")
    assert code == 0
    check_result(history.summary(), run.folder, task, os.environ["KERAS_BACKEND"])


def check_result(result: dict[str, Any], folder: Path, task: str, backend: str) -> None:
    """Check the summary and the folder of a run of a tiny recipe."""
    assert result["backend"] == backend
    assert set(result["metrics"]) == ({"loss"} if task == "lm" else {"loss", "accuracy", "macro-f1", "auc"})
    if task != "lm":
        counts = result["confusion"]
        assert sum(counts[0]) == sum(counts[1]) == {"image": 5, "text": 10}[task]
        right = counts[0][0] + counts[1][1]
        assert result["metrics"]["accuracy"] == pytest.approx(right / {"image": 10, "text": 20}[task])
        assert result["metrics"]["macro-f1"] == pytest.approx(score_classes(np.array(counts)).mean()[2])
    assert 0 < result["trainable_share"] < 1
    assert result["history"][-1] == {"step": result["steps"], "split": "test"} | result["metrics"]
    assert result["seconds"] > 0
    for file in ("recipe.toml", "environment.json", "model/model.keras", "model/preset/config.json"):
        assert (folder / file).is_file(), file
    losses = [event.loss for event in read(folder / "events.jsonl") if isinstance(event, Stepped)]
    assert len(losses) == result["steps"]
    golden = json.loads(GOLDEN.read_text("utf-8"))
    if os.environ.get("FTAPP_RECORD_GOLDEN"):
        GOLDEN.write_text(json.dumps(golden | {f"{task} {backend}": losses[:3]}, indent=1) + "\n", encoding="utf-8")
    else:
        # Fused and unfused products differ from one processor to the next in the last digits.
        assert losses[:3] == pytest.approx(golden[f"{task} {backend}"], rel=2e-3)
