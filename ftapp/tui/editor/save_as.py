"""Choosing the file that a recipe is saved to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from ftapp import recipe
from ftapp.common import confinement
from ftapp.common.errors import RecipeError
from ftapp.common.safe_files import explain_error
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.editor.draft import Draft

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


def ask_for_path(app: App[Any], draft: Draft, save: Callable[[Path], None]) -> None:
    """Ask for a file, and once more before a file is replaced.

    Args:
        app: Shows the dialogs.
        draft: The recipe to save, whose file is proposed unless it comes with ftapp.
        save: Called with the path, unless the user cancels.
    """

    def confirm(name: str | None) -> None:
        if name is None:
            return
        path = recipe_path(name)
        if not path.exists():
            save(path)
            return
        text = f"{path} exists. The whole file is replaced, with its comments and profiles."
        dialog = Dialog("Replace the file?", text, ["Replace", "Cancel"])
        app.push_screen(dialog, lambda answer: save(path) if answer == "Replace" else None)

    bundled = draft.path in recipe.bundled().values()
    name = f"my-{draft.path.stem}.toml" if bundled else str(draft.path)
    app.push_screen(Ask("Save as", name, check_name), confirm)


def recipe_path(name: str) -> Path:
    """Make a path of what the user typed.

    Args:
        name: A path, with or without the ending `.toml`.

    Returns:
        The path, which ends in `.toml` unless it is a folder.
    """
    path = Path(name.strip()).expanduser()
    return path if path.suffix == ".toml" or path.is_dir() else path.with_name(f"{path.name}.toml")


def check_name(name: str) -> str | None:
    """Check the name of a file that a recipe is to be saved to.

    Args:
        name: What the user typed.

    Returns:
        What is wrong with it; None where nothing is.
    """
    if not name.strip():
        return "the name is empty; a recipe has a name, such as mine.toml"
    try:
        path = recipe_path(name)
        if obstacle := confinement.find_obstacle(path, writes=True):
            return obstacle
        if path.is_dir():
            return f"{path} is a folder"
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        if recipe.bundled().get(path.stem) == path.absolute():
            return "this recipe comes with ftapp, so its file cannot be replaced"
    except (OSError, RuntimeError, ValueError) as error:
        return f"this is no name for a file: {explain_error(error)}"
    return None


def save_draft(app: FtApp, draft: Draft, path: Path) -> bool:
    """Write a draft as a recipe of the user's own, remember it, and say so.

    Args:
        app: Shows why it cannot be written.
        draft: The draft.
        path: The file, which is replaced.

    Returns:
        Whether it was written.
    """
    try:
        draft.save(path, replace=True)
    except (OSError, RecipeError) as error:
        app.notify(f"{path} cannot be written: {explain_error(error)}", severity="error")
        return False
    app.settings.use_recipe(path)
    app.notify(str(path), title="Saved")
    return True
