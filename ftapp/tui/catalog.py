"""The recipes to choose from: those that come with ftapp, those in the current folder, and those used lately."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp.common import local_files
from ftapp.common.resources import bundled
from ftapp.recipe.tasks import TASKS, title_of
from ftapp.tui.search import rank

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

FOLDER, RECENT, LESSONS = "In this folder", "Used lately", "Lessons"
_RECIPE = re.compile(r"^\s*(\[\s*(model|data)\s*\]|\[\[\s*phase\s*\]\]|task\s*=)", re.MULTILINE)
"""What tells a recipe, even a broken one, from another TOML file."""
_PROFILE = re.compile(r"""\[\s*profile\s*\.\s*["']?([\w-]+)["']?\s*\]""")
_LESSON = "lesson-"  # how the names of recipes begin whose arms check what a lesson reports
_LARGEST = 2**20  # bytes; no recipe comes near it


@dataclass(frozen=True)
class Entry:
    """A recipe file as the menu shows it.

    name: as `ftapp run` takes it; group: the heading that it stands under; comment: the paragraphs at the head of the
    file; profiles: the names of its profiles; notes: the comment above the table of each, which tells how long it
    takes. Once it is checked, recipes: what it says under each profile that is
    valid, and under None without one; arms: what each of its arms overrides, under the same keys; problems: what `ftapp
    validate` says of it.
    """

    path: Path
    name: str
    group: str
    title: str
    summary: str
    task: str
    comment: tuple[str, ...]
    profiles: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    checked: bool = False
    recipes: Mapping[str | None, Recipe] = field(default_factory=dict)
    arms: Mapping[str | None, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def bundled(self) -> bool:
        """Whether it comes with ftapp."""
        return self.group not in (FOLDER, RECENT)

    @property
    def choices(self) -> tuple[str | None, ...]:
        """The profiles to choose from, first those that the file names, last the values without a profile."""
        return (*self.profiles, None)

    def rank(self, query: str) -> int | None:
        """How well it fits a search (`ftapp.tui.search.rank`); None where it does not."""
        about = " ".join((self.title, self.summary, self.task, title_of(self.task)))
        return rank(query, self.path.stem, about)

    def profile(self, preferred: str | None) -> str | None:
        """The profile to begin with: the preferred one where there is one of that name, else the first.

        preferred: a name, "" for the values without a profile, None for no preference.
        """
        if preferred == "":
            return None
        return preferred if preferred in self.profiles else self.choices[0]


class Catalog:
    """Reads recipe files, each again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[tuple[int, int], Entry]] = {}

    def read(self, folder: Path, recent: Iterable[str], *, check: bool = True) -> list[Entry]:
        """All entries: own recipes first, then the bundled ones by task, the lessons last. What cannot be read is left
        out.

        folder: whose recipes are the user's own; recent: paths of others; check: whether to check what has not been,
        which takes a fifth of a second the first time, and reading a hundredth.
        """
        names = bundled()
        known = {path.resolve() for path in names.values()}
        files: list[tuple[Path, str, str]] = []
        for path, group in (
            *((path, FOLDER) for path in _toml_files(folder)),
            *((Path(name), RECENT) for name in recent),
        ):
            if path.resolve() not in known:
                known.add(path.resolve())
                files.append((path, str(path) if group == RECENT else path.name, group))
        files += [(path, name, LESSONS if name.startswith(_LESSON) else "") for name, path in names.items()]
        entries = [entry for file in files if (entry := self._entry(*file, check=check))]
        order = [FOLDER, RECENT, *(task.title for task in TASKS.values()), LESSONS]
        return sorted(entries, key=lambda entry: order.index(entry.group) if entry.group in order else len(order))

    def _entry(self, path: Path, name: str, group: str, *, check: bool) -> Entry | None:
        try:
            status = path.stat()
            signature = (status.st_mtime_ns, status.st_size)
            known, entry = self._known.get((path, group), (None, None))
            if entry is None or known != signature:
                if status.st_size > _LARGEST:
                    return None
                text = path.read_text("utf-8-sig", errors="replace")
                if group in (FOLDER, RECENT) and not _RECIPE.search(text):
                    return None
                entry = _read(path, name, group, text)
        except OSError:
            return None
        if check and (not entry.checked or entry.problems):  # problems may lie in files that it names
            entry = _checked(entry)
        self._known[path, group] = signature, entry
        return entry


def _toml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.toml") if path.is_file() and not local_files.is_debris(path.name))
    except OSError:
        return []


def _read(path: Path, name: str, group: str, text: str) -> Entry:
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):  # which checking tells
        raw = {}
    title, summary, task, profiles = (raw.get(key) for key in ("title", "summary", "task", "profile"))
    return Entry(
        path=path,
        name=name,
        group=group or title_of(str(task)),
        title=title if isinstance(title, str) else path.stem,
        summary=summary if isinstance(summary, str) else "",
        task=task if isinstance(task, str) else "",
        comment=head_comment(text),
        profiles=tuple(profiles) if isinstance(profiles, dict) else (),
        notes=profile_comments(text),
    )


def _checked(entry: Entry) -> Entry:
    from ftapp import recipe
    from ftapp.common.errors import RecipeError

    recipes: dict[str | None, Recipe] = {}
    arms: dict[str | None, Mapping[str, Mapping[str, Any]]] = {}
    problems: dict[str, None] = {}
    for profile in (None, *entry.profiles):
        try:
            loaded = recipe.load_experiment(entry.path, profile)
            recipes[profile], arms[profile] = loaded.base, loaded.changes
        except RecipeError as error:
            problems |= dict.fromkeys(map(str, error.problems))
    return replace(entry, checked=True, recipes=recipes, arms=arms, problems=tuple(problems))


def head_comment(text: str) -> tuple[str, ...]:
    """The comment at the head of a recipe file, a paragraph a string, its lines joined."""
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        if words:
            paragraphs[-1].append(words)
        elif paragraphs[-1]:
            paragraphs.append([])
    return tuple(" ".join(lines) for lines in paragraphs if lines)


def profile_comments(text: str) -> dict[str, str]:
    """The comment right above the table of each profile in a recipe file, its lines joined."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            above.append(line.lstrip("#").strip())
            continue
        if above and (table := _PROFILE.match(line)):
            found[table[1]] = " ".join(above)
        above = []
    return found
