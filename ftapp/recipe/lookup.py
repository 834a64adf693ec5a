"""The files of recipes: found by name, and copied."""

from __future__ import annotations

import shlex
from pathlib import Path

from ftapp.common import confinement, safe_files
from ftapp.common.errors import Problem, RecipeError, suggest_nearest
from ftapp.common.resources import bundled
from ftapp.recipe import sources


def find(name: str) -> Path:
    """Find the file of a recipe.

    Args:
        name: A path to a TOML file, or the name of a recipe that comes with ftapp.

    Returns:
        The file.

    Raises:
        RecipeError: There is no such recipe; the error names the nearest.
    """
    if name in bundled():
        return bundled()[name]
    if source := sources.guess(name):
        given = f"--set {shlex.quote(f'data.source={source}')}"
        raise RecipeError([Problem("", "", f"'{name}' is data, not a recipe; name a recipe, and the data as {given}")])
    if name.lower().endswith(".toml") or "/" in name:
        try:
            path = Path(name).expanduser()
            if path.is_file():
                return path
            if safe_files.exists(path):
                kind = safe_files.name_other_kind(path) if path.exists() else "a link that leads nowhere"
                raise RecipeError([Problem(name, "", f"this is {kind}; a recipe is a TOML file")])
        except (OSError, RuntimeError, ValueError) as error:
            raise RecipeError(
                [Problem(name, "", f"the recipe cannot be read: {error}; a recipe is a TOML file")]
            ) from error
        siblings = [str(path.parent / other.name) for other in path.parent.glob("*.toml")]
        raise RecipeError(
            [
                Problem(
                    "",
                    "",
                    f"there is no file '{name}'; a recipe is a TOML file or a name; "
                    + suggest_nearest(name, siblings or bundled()),
                )
            ]
        )
    raise RecipeError([Problem("", "", f"there is no recipe '{name}'; {suggest_nearest(name, bundled())}")])


def copy_to(path: Path, file: Path, *, replace: bool = False) -> None:
    """Copy a recipe with its comments.

    Args:
        path: The recipe's file.
        file: The new file.
        replace: Whether an existing file is replaced.

    Raises:
        RecipeError: The new file exists and `replace` is not set, cannot be written, or has no name for a recipe.
    """
    message = find_name_problem(file)
    if file.is_file() and message is not None and file.suffix == ".toml":
        message = (
            None
            if replace
            else f"{message}; --force replaces the file, or choose another name, such as '{_find_free(file)}'"
        )
    if message is None:
        try:
            text = path.read_text("utf-8")  # first, since a recipe may be copied over itself
            with file.open("w" if replace else "x", encoding="utf-8") as target:
                target.write(text)
        except OSError as error:
            message = f"'{file}' cannot be written: {error.strerror}"
    if message is not None:
        raise RecipeError([Problem("", "", message)])


def _find_free(file: Path) -> Path:
    """Find the path of a new file, by a number behind the name."""
    return next(path for n in range(2, 10**6) if not (path := file.with_stem(f"{file.stem}-{n}")).exists())


def find_name_problem(file: Path) -> str | None:
    """Find out why a path cannot be that of a new recipe.

    Args:
        file: The path.

    Returns:
        The reason, with the rule; None when a recipe can be written there.
    """
    if obstacle := confinement.find_obstacle(file, writes=True):
        return obstacle
    if file.suffix != ".toml":
        hint = f"; did you mean '{file.with_suffix('.toml')}'?" if file.name else ""
        return f"'{file}' does not end in .toml, as a recipe's file does{hint}"
    return f"'{file}' exists; copy writes a new file" if file.exists() else None
