"""Predictions, explanations and evaluations of a run's model, as the predictor's process makes them.

As there, requests of all kinds share the model of the last run, which is loaded and traced once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ftapp.api.evaluations import load_other
from ftapp.rpc.evaluation_messages import Remeasured
from ftapp.rpc.explanation_messages import ExplainedRow, ExplainQuestion
from ftapp.rpc.prediction_messages import PredictedRow, PredictedRows, PredictQuestion
from ftapp.rpc.server import Request
from ftapp.runs.explanations import Explanation
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.evaluate_requests import EvaluateRequests
from ftapp.workers.explain_requests import ExplainRequests
from ftapp.workers.predict_requests import PredictRequests
from ftapp.workers.run_models import RunModels

_MODELS = RunModels()
_PREDICT, _EXPLAIN, _EVALUATE = PredictRequests(_MODELS), ExplainRequests(_MODELS), EvaluateRequests(_MODELS)


def predict(run: RunFolder, *inputs: Path, **options: Any) -> list[PredictedRow]:
    """Predict inputs with a run's model; the options are those of `PredictQuestion`."""
    return [row for part in predict_parts(run, inputs, **options) for row in part.rows]


def predict_parts(run: RunFolder, inputs: Sequence[Path], **options: Any) -> list[PredictedRows]:
    """Predict inputs, and return the parts in which the answers come."""
    lines: list[Any] = []
    question = PredictQuestion(inputs=[(str(each), each.name) for each in inputs], **options)
    _PREDICT.predict(Request(1, "predict", {}, lines.append), str(run.folder), msgspec.to_builtins(question))
    return [msgspec.convert(line["predicted"], PredictedRows) for line in lines if "predicted" in line]


def explain(run: RunFolder, *inputs: Path, **options: Any) -> list[ExplainedRow]:
    """Explain the answers to inputs; the options are those of `ExplainQuestion`."""
    lines: list[Any] = []
    files = PredictQuestion(inputs=[(str(each), each.name) for each in inputs])
    asked = msgspec.to_builtins(ExplainQuestion(inputs=files, **options))
    _EXPLAIN.explain(Request(1, "explain", {}, lines.append), str(run.folder), asked)
    return [msgspec.convert(line["explained"], ExplainedRow) for line in lines if "explained" in line]


def explain_test(run: RunFolder, places: list[str]) -> dict[str, Explanation]:
    """Explain the answers to examples of a run's test split."""
    request = Request(1, "explain-test", {}, list[Any]().append)
    return _EXPLAIN.explain_test(request, str(run.folder), places)


def measure(
    run: RunFolder, source: str | None = None, overrides: Sequence[str] = (), split: str | None = None
) -> Remeasured:
    """Evaluate a run's model in this process, as the predictor does."""
    other = load_other(run, source, list(overrides)).to_toml() if source else None
    request = Request(1, "evaluate", {}, list[Any]().append)
    return _EVALUATE.evaluate(request, str(run.folder), other, split)
