"""What the interface remembers between sessions: the theme, hidden panes, recent recipes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from ftapp.common import safe_files, user_folders
from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.person import Person

_RENAMED = {"accuracy": "metric"}  # panes, by the names that earlier versions kept
_RECENT = 12


class Settings(msgspec.Struct, kw_only=True):
    """The settings of the interface, a JSON file.

    Attributes:
        theme: The name of the theme in Textual.
        profile: The profile that was chosen last, "" for a recipe's own values.
        hidden: The names of the hidden panes of the run screen.
        facts_width: The width of the right column of the run screen; None for the usual one.
        details_height: The height of its lower row; None for the usual one.
        recent: The paths of the user's own recipes, the most recent first.
    """

    theme: str = "ftapp-dark"
    profile: str | None = None
    hidden: list[str] = []
    facts_width: int | None = None
    details_height: int | None = None
    recent: list[str] = []

    @classmethod
    def load(cls) -> Settings:
        """Read the settings from disk. Where they cannot be read, the defaults are used."""
        try:
            found = msgspec.json.decode(safe_files.read_bytes(_file()), type=cls)
        except (OSError, RunError, *safe_files.UNREADABLE):
            return cls()
        found.hidden = [_RENAMED.get(name, name) for name in found.hidden]
        return found

    def save(self) -> None:
        """Write the settings to disk. Where that fails, they last until the interface is closed."""
        if Person.read().name:  # people of a class have one file together
            return
        with suppress(OSError, RunError):
            file = _file()
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, msgspec.json.format(msgspec.json.encode(self)))

    def use_recipe(self, path: Path) -> None:
        """Remember a recipe of the user's own as the most recent one."""
        name = str(path.absolute())
        self.recent = [name, *(other for other in self.recent if other != name)][:_RECENT]
        self.save()


def _file() -> Path:
    return user_folders.settings() / "interface.json"
