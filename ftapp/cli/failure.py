"""How commands end without success: messages on stderr and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from ftapp.common.safe_output import screen_output

UNANSWERED = 3
"""The exit code of a command that is done, but for inputs that have no answer."""

_debug = False


def set_debug(debug: bool) -> None:
    """Set whether errors are shown with tracebacks and with the output of helper processes.

    Args:
        debug: The value of --debug.
    """
    global _debug
    _debug = debug


def is_debug() -> bool:
    """Return whether --debug was given."""
    return _debug


def refuse(message: str) -> NoReturn:
    """Print a message on stderr and end the command with exit code 2.

    Args:
        message: What is wrong with the arguments or the recipe.

    Raises:
        typer.Exit: Always.
    """
    print(message, file=sys.stderr)
    raise typer.Exit(2)


def parse_max_time(text: str | None) -> float | None:
    """Return the seconds of --max-time; None where it was not given. A wrong one ends the command.

    Args:
        text: The value of --max-time.

    Raises:
        typer.Exit: It is no length of time.
    """
    from ftapp.common.durations import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        refuse(f"--max-time: {error}")


@contextmanager
def refuse_bad_recipes() -> Iterator[None]:
    """Turn a RecipeError into its problems on stderr and exit code 2."""
    from ftapp.common.errors import RecipeError

    try:
        yield
    except RecipeError as error:
        refuse(str(error))


@contextmanager
def fail_on_run_errors(code: int = 1) -> Iterator[None]:
    """Turn a RunError into its message on stderr and an exit code.

    Args:
        code: The exit code; 2 where arguments are checked.
    """
    from ftapp.common.errors import RunError

    try:
        yield
    except RunError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(code) from None


@contextmanager
def suggest_profile(recipe_name: str, profile: str | None) -> Iterator[None]:
    """Add a profile that needs no hub to the message of a HubError.

    Args:
        recipe_name: The recipe's name or file.
        profile: The chosen profile.

    Raises:
        RunError: A hub cannot be reached.
    """
    from ftapp import recipe
    from ftapp.common.errors import HubError, RunError, explain_way_out

    try:
        yield
    except HubError as error:
        others = [name for name in recipe.list_hubless_profiles(recipe.find(recipe_name)) if name != profile]
        raise RunError(f"{error}; {explain_way_out(others)}") from error


@contextmanager
def fail_on_unwritable(output: Path | None) -> Iterator[None]:
    """Turn an OSError of a command's output into a message on stderr and exit code 1.

    Args:
        output: The file or folder; None for standard output.
    """
    from ftapp.common.safe_files import explain_error

    try:
        yield
    except BrokenPipeError:  # whoever reads the output has enough of it
        raise
    except OSError as error:
        print(f"{output or 'standard output'} cannot be written: {explain_error(error)}", file=sys.stderr)
        raise typer.Exit(1) from None


def end(error: BaseException) -> NoReturn:
    """End the program because of an error, with a message in place of a traceback.

    Args:
        error: An error that no command has handled.

    Raises:
        SystemExit: Always, with the exit code for the error.
    """
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from None
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        raise SystemExit(1) from None
    screen_output()
    if _debug:
        traceback.print_exception(error)
        raise SystemExit(1) from None
    from ftapp.common.errors import RunError
    from ftapp.common.full_disk import is_full
    from ftapp.common.safe_files import explain_error

    if isinstance(error, RunError):
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and is_full(error):  # most likely what standard output goes to
        said = f"{error.filename or 'the output'} cannot be written: {explain_error(error)}"
    print(f"ftapp: {said} ('ftapp --debug ...' shows where)", file=sys.stderr)
    raise SystemExit(1) from None
