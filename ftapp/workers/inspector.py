"""The process that looks at recipes before they run: structures, costs, previews, plans, learning rates.

It answers the requests of `ftapp.rpc.inspector_client`, each with the recipe as TOML text. Keras is loaded when a
request first needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftapp.rpc import server
from ftapp.workers import machine_requests, trial_requests
from ftapp.workers.data_requests import DataRequests
from ftapp.workers.model_requests import ModelRequests
from ftapp.workers.recipe_cache import RecipeCache


def make_handlers(cache: RecipeCache, folder: Path) -> dict[str, Callable[..., Any]]:
    """Return the handlers of the process by the kinds of their requests.

    Args:
        cache: What has been read and built for the last recipe.
        folder: For the files of previews.
    """
    model, data = ModelRequests(cache), DataRequests(cache, folder)
    return {
        "structure": model.describe_structure,
        "costs": model.estimate_costs,
        "timing": model.time_phase,
        "data": data.preview_data,
        "tokens": data.count_tokens,
        "augment": data.augment,
        "rewrite": data.rewrite,
        "survey": data.survey,
        "machine": machine_requests.describe_machine,
        "missing": machine_requests.find_missing,
        "plan": trial_requests.plan,
        "find-rate": trial_requests.find_rate,
        "trial": trial_requests.run_trial,
    }


if __name__ == "__main__":
    server.serve_with_files(Path(sys.argv[1]), lambda folder: make_handlers(RecipeCache(), folder))
    # Backends' threads and requests that nobody waits for would only delay the end.
    os._exit(0)
