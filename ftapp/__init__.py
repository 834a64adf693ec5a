"""ftapp: a fine-tuning workbench for Keras 3 that lives in the terminal."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftapp.api.comparisons import compare as compare
    from ftapp.api.evaluations import evaluate as evaluate
    from ftapp.api.exports import export as export
    from ftapp.api.models import load_model as load_model
    from ftapp.api.plans import plan as plan
    from ftapp.api.predictions import predict as predict
    from ftapp.api.recipes import load_recipe as load_recipe
    from ftapp.api.run import Run as Run
    from ftapp.api.runs import find_run as find_run
    from ftapp.api.runs import list_runs as list_runs
    from ftapp.api.runs import resume as resume
    from ftapp.api.runs import run as run
    from ftapp.api.texts import generate as generate
    from ftapp.common.errors import RecipeError as RecipeError
    from ftapp.common.errors import RunError as RunError

__version__ = "0.1.0"
_HOMES = {
    "compare": "ftapp.api.comparisons",
    "evaluate": "ftapp.api.evaluations",
    "export": "ftapp.api.exports",
    "find_run": "ftapp.api.runs",
    "generate": "ftapp.api.texts",
    "list_runs": "ftapp.api.runs",
    "load_model": "ftapp.api.models",
    "load_recipe": "ftapp.api.recipes",
    "plan": "ftapp.api.plans",
    "predict": "ftapp.api.predictions",
    "RecipeError": "ftapp.common.errors",
    "resume": "ftapp.api.runs",
    "Run": "ftapp.api.run",
    "run": "ftapp.api.runs",
    "RunError": "ftapp.common.errors",
}


def __getattr__(name: str) -> Any:
    """Import a name of the Python interface when it is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """List the names of the Python interface, which editors and notebooks complete."""
    return sorted(["__version__", *_HOMES])


# While Python looks for the module of `python -m ftapp...`, this package is imported first, and the current folder
# stands at the head of the path. A program that has imported ftapp keeps its path.
if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == "ftapp":
    if not sys.flags.safe_path:
        del sys.path[0]
    from ftapp.common.processes import secure_this_process

    secure_this_process()
