"""How Python processes are started, so that none of them imports what lies in the current folder.

`python -m` puts the current folder before all others on `sys.path`, and an empty part of PYTHONPATH or LD_LIBRARY_PATH,
as a colon too many leaves it, stands for that folder too. A `random.py` beside a data set would be executed.

At run time this module imports only what Python itself has loaded by then, since it is there before the path is safe.
"""

# ruff: noqa: PTH109, PTH117, PTH120

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_OWN = os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
)  # where ftapp itself is imported from
_PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def make_module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python, as `python -m` but without the current folder on its path."""
    return [*make_python_command(), "-m", module, *arguments]


def make_python_command() -> list[str]:
    """The command of this Python, without the current folder on its path."""
    return [sys.executable, "-P"]


def make_script_command(script: str, *arguments: str) -> list[str]:
    """The command that runs a script with this Python, isolated: no folder or variable of the user adds to its path."""
    return [sys.executable, "-I", "-B", "-c", script, *arguments]


def make_child_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables for a child, and for whatever it starts itself, without paths to the current folder.

    added: variables that are put in their place or beside them.
    """
    environment = {**os.environ, **(added or {})}
    secure(environment)
    return environment


def secure(environment: MutableMapping[str, str]) -> None:
    """Take the current folder out of the variables that name places of code."""
    for name in _PATHS:
        if name in environment:
            kept = [part for part in environment[name].split(os.pathsep) if _is_safe(part)]
            environment[name] = os.pathsep.join(kept)
            if not kept:
                del environment[name]
    environment.pop("PYTHONSTARTUP", None)
    environment["PYTHONSAFEPATH"] = "1"


def secure_this_process() -> None:
    """Import nothing more from the current folder, however this process was started, and have no child do so."""
    secure(os.environ)
    sys.path[:] = [entry for entry in sys.path if _is_safe(entry)]


def _is_safe(entry: str) -> bool:
    """Whether an entry of a path is a fixed place other than the current folder, or where ftapp itself is."""
    place = os.path.realpath(entry)
    if place == _OWN:
        return bool(entry)
    if not os.path.isabs(entry):
        return False
    try:
        return place != os.path.realpath(os.getcwd())
    except OSError:  # the current folder is gone
        return True
