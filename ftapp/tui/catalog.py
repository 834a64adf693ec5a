"""The recipes to choose from: bundled ones, those in the current folder, and those that were used recently."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp.common import confinement, local_files
from ftapp.common.resources import bundled
from ftapp.recipe.tasks import TASKS, get_title
from ftapp.tui.search import rank

if TYPE_CHECKING:
    from ftapp.recipe import Recipe, Sweep

FOLDER, RECENT, LESSONS = "In this folder", "Used recently", "Lessons"
_RECIPE = re.compile(r"^\s*(\[\s*(model|data)\s*\]|\[\[\s*phase\s*\]\]|task\s*=)", re.MULTILINE)
"""Distinguishes a recipe, even a broken one, from other TOML files."""
_PROFILE = re.compile(r"""\[\s*profile\s*\.\s*["']?([\w-]+)["']?\s*\]""")
_LESSON = "lesson-"  # how the names of recipes begin whose arms check what a lesson reports
_LARGEST = 2**20  # bytes; no recipe comes near it


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe file as the menu shows it.

    Attributes:
        path: The file.
        name: The name that `ftapp run` takes.
        group: The heading above it.
        title: The recipe's title, or the file's name.
        summary: The recipe's summary.
        task: The recipe's task.
        comment: The paragraphs at the head of the file.
        profiles: The names of its profiles.
        notes: The comment above the table of each profile, which says how long a run takes.
        checked: Whether the recipe was validated; before that, the following fields are empty.
        recipes: The resolved recipe by valid profile, and under None without a profile.
        arms: What each arm overrides, under the same keys.
        sweeps: What `ftapp sweep` tries, under the same keys, of a recipe that says so.
        problems: The messages of `ftapp validate`.
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
    sweeps: Mapping[str | None, Sweep] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def bundled(self) -> bool:
        """Whether the recipe comes with ftapp."""
        return self.group not in (FOLDER, RECENT)

    @property
    def choices(self) -> tuple[str | None, ...]:
        """The profiles to choose from: those of the file, then None for the values without a profile."""
        return (*self.profiles, None)

    def rank(self, query: str) -> int | None:
        """Rank the recipe for a search.

        Args:
            query: What the user typed.

        Returns:
            The rank of `ftapp.tui.search.rank`, 0 for the best; None where the recipe does not match.
        """
        about = " ".join((self.title, self.summary, self.task, get_title(self.task)))
        return rank(query, self.path.stem, about)

    def profile(self, preferred: str | None) -> str | None:
        """Choose the profile to begin with.

        Args:
            preferred: The name of a profile, "" for the values without one, None for no preference.

        Returns:
            The preferred profile where the recipe has it, else the first.
        """
        if preferred == "":
            return None
        return preferred if preferred in self.profiles else self.choices[0]


class Catalog:
    """Reads recipe files. A file is read again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], tuple[tuple[int, int], RecipeEntry]] = {}

    def read(self, folder: Path, recent: Iterable[str], *, check: bool = True) -> list[RecipeEntry]:
        """Read all recipes. Files that cannot be read are left out.

        Args:
            folder: The folder with the user's own recipes.
            recent: Paths of other recipes.
            check: Whether to validate new recipes, which takes 0.2 s the first time; reading takes 0.01 s.

        Returns:
            The user's own recipes, then the bundled ones by task, the lessons last.
        """
        names = bundled()
        known = {path.resolve() for path in names.values()}
        files: list[tuple[Path, str, str]] = []
        for path, group in (
            *((path, FOLDER) for path in _toml_files(folder)),
            *((path, RECENT) for path in map(Path, recent) if confinement.find_obstacle(path) is None),
        ):
            if path.resolve() not in known:
                known.add(path.resolve())
                files.append((path, str(path) if group == RECENT else path.name, group))
        files += [(path, name, LESSONS if name.startswith(_LESSON) else "") for name, path in names.items()]
        entries = [entry for file in files if (entry := self._entry(*file, check=check))]
        order = [FOLDER, RECENT, *(task.title for task in TASKS.values()), LESSONS]
        return sorted(entries, key=lambda entry: order.index(entry.group) if entry.group in order else len(order))

    def _entry(self, path: Path, name: str, group: str, *, check: bool) -> RecipeEntry | None:
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
            entry = _check(entry)
        self._known[path, group] = signature, entry
        return entry


def _toml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("*.toml") if path.is_file() and not local_files.is_debris(path.name))
    except OSError:
        return []


def _read(path: Path, name: str, group: str, text: str) -> RecipeEntry:
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):  # which checking tells
        raw = {}
    title, summary, task, profiles = (raw.get(key) for key in ("title", "summary", "task", "profile"))
    return RecipeEntry(
        path=path,
        name=name,
        group=group or get_title(str(task)),
        title=title if isinstance(title, str) else path.stem,
        summary=summary if isinstance(summary, str) else "",
        task=task if isinstance(task, str) else "",
        comment=read_head_comment(text),
        profiles=tuple(profiles) if isinstance(profiles, dict) else (),
        notes=read_profile_comments(text),
    )


def _check(entry: RecipeEntry) -> RecipeEntry:
    from ftapp import recipe
    from ftapp.common.errors import RecipeError

    recipes: dict[str | None, Recipe] = {}
    arms: dict[str | None, Mapping[str, Mapping[str, Any]]] = {}
    sweeps: dict[str | None, Sweep] = {}
    problems: dict[str, None] = {}
    for profile in (None, *entry.profiles):
        try:
            loaded = recipe.load_experiment(entry.path, profile)
            recipes[profile], arms[profile] = loaded.base, loaded.changes
            if loaded.sweep and loaded.sweep.over:
                sweeps[profile] = loaded.sweep
        except RecipeError as error:
            problems |= dict.fromkeys(map(str, error.problems))
    return replace(entry, checked=True, recipes=recipes, arms=arms, sweeps=sweeps, problems=tuple(problems))


def read_head_comment(text: str) -> tuple[str, ...]:
    """Read the comment at the head of a recipe file, as one string for each paragraph."""
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


def read_profile_comments(text: str) -> dict[str, str]:
    """Read the comment right above the table of each profile in a recipe file, by the name of the profile."""
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
