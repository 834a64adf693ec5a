"""What the interface remembers from one time to the next: the theme, hidden panes, recipes used last."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common import safe_files, user_folders
from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError

_RENAMED = {"accuracy": "metric"}  # panes, by the names that earlier versions kept
_RECENT = 12


class Settings(msgspec.Struct, kw_only=True):
    """theme: its name in Textual; profile: the one chosen last, "" for a recipe's own values; hidden: panes of the run
    screen that are off, by name; recent: paths of own recipes, the one used last first.
    """

    theme: str = "ftapp-dark"
    profile: str | None = None
    hidden: list[str] = []
    recent: list[str] = []

    @classmethod
    def load(cls) -> Settings:
        """The settings kept on disk, or the first ones where there are none that can be read."""
        try:
            return msgspec.json.decode(safe_files.read_bytes(_file()), type=cls)
        except (OSError, RunError, *safe_files.UNREADABLE):
            return cls()

    def save(self) -> None:
        """Keep the settings. Where the disk takes nothing, they last as long as the interface."""
        with suppress(OSError, RunError):
            file = _file()
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, msgspec.json.format(msgspec.json.encode(self)))

    def use_recipe(self, path: Path) -> None:
        """Remember a recipe of the user's own as the one used last."""
        name = str(path.absolute())
        self.recent = [name, *(other for other in self.recent if other != name)][:_RECENT]
        self.save()


def _file() -> Path:
    return user_folders.settings() / "interface.json"
