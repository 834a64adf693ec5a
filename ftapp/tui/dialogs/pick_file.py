"""The choice of a file or a folder from a tree of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Label, Static

from ftapp.common import local_files
from ftapp.common.formatting import escape_unprintable


class _Files(DirectoryTree):
    """Shows folders, and the files with some suffixes."""

    ICON_NODE, ICON_NODE_EXPANDED, ICON_FILE = "▸ ", "▾ ", "  "

    def __init__(self, folder: Path, suffixes: Sequence[str]) -> None:
        super().__init__(folder)
        self._suffixes = suffixes

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        shown = (path for path in paths if not local_files.is_debris(path.name))
        return (path for path in shown if path.name.lower().endswith(tuple(self._suffixes)) or path.is_dir())

    def process_label(self, label: TextType) -> Text:
        """Return the name of a file as printable text of one line."""
        return super().process_label(escape_unprintable(label) if isinstance(label, str) else label)


class PickFile(ModalScreen[Path | None]):
    """A dialog with a tree of folders. Its result is the path, or None after Escape."""

    DEFAULT_CSS = """
    PickFile #dialog { height: 80%; }
    PickFile DirectoryTree, PickFile DirectoryTree:focus { background: $surface; height: 1fr; }
    PickFile #folder, PickFile #keys { color: $text-muted; height: auto; }
    PickFile #keys { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", show=False),
        Binding("backspace,left", "up", "To the folder above", show=False),
        Binding("space", "take", "Take the folder", show=False, priority=True),
    ]
    AUTO_FOCUS = "DirectoryTree"

    def __init__(self, title: str, folder: Path, suffixes: Sequence[str], *, takes_folders: bool = False) -> None:
        """Make the dialog.

        Args:
            title: The question.
            folder: The folder to begin in.
            suffixes: The suffixes of the files to choose from, such as ".csv"; empty to choose a folder.
            takes_folders: Whether a folder can be chosen beside such files.
        """
        super().__init__()
        self._title, self._folder, self._suffixes = title, folder.absolute(), suffixes
        self._takes_folders = takes_folders or not suffixes

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(self._title, id="dialog-title", markup=False)
            yield Static(str(self._folder), id="folder", markup=False)
            yield _Files(self._folder, self._suffixes)
            keys = "Enter opens, Backspace goes up, Escape cancels"
            yield Static(f"Space takes the folder under the cursor, {keys}" if self._takes_folders else keys, id="keys")

    @on(DirectoryTree.FileSelected)
    def _take_file(self, event: DirectoryTree.FileSelected) -> None:
        self._take(event.path)

    def action_take(self) -> None:
        """Take the folder under the cursor."""
        node = self.query_one(_Files).cursor_node
        if node and node.data:
            self._take(node.data.path)

    def _take(self, path: Path) -> None:
        if str(path) == escape_unprintable(str(path)):
            self.dismiss(path)
        else:
            self.notify("This name is not one line of UTF-8 text. Rename the file to choose it.", severity="warning")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "take" or self._takes_folders

    def action_up(self) -> None:
        self._folder = self._folder.parent
        self.query_one("#folder", Static).update(str(self._folder))
        self.query_one(_Files).path = self._folder


def find_start_folder(value: str) -> Path:
    """Find the folder to begin in: that of a path, else the current folder.

    Args:
        value: The path as far as it is typed.
    """
    path = local_files.expand_home(value.strip())
    found = next((each for each in (path, *path.parents) if os.path.isdir(each)), None)  # noqa: PTH112 - Path's raises
    return found if found is not None and value and found != Path(path.anchor) else Path.cwd()
