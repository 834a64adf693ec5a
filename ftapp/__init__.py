"""ftapp: a fine-tuning workbench for Keras 3 that lives in the terminal."""

import sys
from typing import TYPE_CHECKING

from ftapp.common.lazy_names import import_on_use

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
_NAMES = {
    "ftapp.api.comparisons": "compare",
    "ftapp.api.evaluations": "evaluate",
    "ftapp.api.exports": "export",
    "ftapp.api.models": "load_model",
    "ftapp.api.plans": "plan",
    "ftapp.api.predictions": "predict",
    "ftapp.api.recipes": "load_recipe",
    "ftapp.api.run": "Run",
    "ftapp.api.runs": "find_run list_runs resume run",
    "ftapp.api.texts": "generate",
    "ftapp.common.errors": "RecipeError RunError",
}
__getattr__ = import_on_use(__name__, _NAMES)


def __dir__() -> list[str]:
    """List the names of the Python interface, which editors and notebooks complete."""
    return sorted(["__version__", *(name for names in _NAMES.values() for name in names.split())])


# While Python looks for the module of `python -m ftapp...`, this package is imported first, and the current folder
# stands at the head of the path. A program that has imported ftapp keeps its path.
if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == "ftapp":
    if not sys.flags.safe_path:
        del sys.path[0]
    from ftapp.common.processes import secure_this_process

    secure_this_process()
