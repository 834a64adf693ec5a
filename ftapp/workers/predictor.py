"""The process that answers with a finished run's model, and with the model before training beside it.

It answers the requests of `ftapp.rpc.predictor_client`, each with the run's folder, and keeps the models of the last
run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftapp.rpc import server
from ftapp.workers.answer_requests import AnswerRequests
from ftapp.workers.classify_requests import ClassifyRequests
from ftapp.workers.evaluate_requests import EvaluateRequests
from ftapp.workers.explain_requests import ExplainRequests
from ftapp.workers.export_requests import export
from ftapp.workers.predict_requests import PredictRequests
from ftapp.workers.run_models import RunModels
from ftapp.workers.write_requests import WriteRequests


def make_handlers(models: RunModels, folder: Path) -> dict[str, Callable[..., Any]]:
    """Return the handlers of the process by the kinds of their requests.

    Args:
        models: The models of the last run.
        folder: For images that come from no files.
    """
    classify, write, predict = ClassifyRequests(models, folder), WriteRequests(models), PredictRequests(models)
    explain = ExplainRequests(models)
    return {
        "load": classify.load,
        "classify": classify.classify,
        "held-out": classify.classify_held_out,
        "predict": predict.predict,
        "answer": AnswerRequests(models).answer,
        "evaluate": EvaluateRequests(models).evaluate,
        "write-parquet": predict.write_parquet,
        "generate-trained": write.generate_trained,
        "generate-base": write.generate_base,
        "generate-all": write.generate_all,
        "explain": explain.explain,
        "explain-one": explain.explain_one,
        "explain-test": explain.explain_test,
        "export": export,
    }


if __name__ == "__main__":
    server.serve_with_files(Path(sys.argv[1]), lambda folder: make_handlers(RunModels(), folder))
    # Backends' threads and requests that nobody waits for would only delay the end.
    os._exit(0)
