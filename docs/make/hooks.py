"""What mkdocs runs while it builds the site: adds the pages that are made from code, and shows what commands print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import command_reference
import event_reference
import outputs
import recipe_reference
import screens

ROOT = Path(__file__).parents[2]
_MADE: dict[str, Callable[[], str]] = {
    "reference/recipe.md": recipe_reference.make_page,
    "reference/events.md": event_reference.make_page,
    "reference/commands.md": command_reference.make_page,
    "benchmarks.md": lambda: _read_from_root("benchmarks/README.md"),
    "changelog.md": lambda: _read_from_root("CHANGELOG.md"),
    "contributing.md": lambda: _read_from_root("CONTRIBUTING.md"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from code or stand elsewhere in the repository."""
    for path, page in _MADE.items():
        files.append(File.generated(config, path, content=page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show what a command prints, and what the interface says of a screen, where a page asks for it."""
    return screens.insert_screens(outputs.insert_outputs(markdown))


def _read_from_root(name: str) -> str:
    """Read a page that stands in the repository's root, with links as they are from docs/."""
    return (ROOT / name).read_text("utf-8").replace("](docs/", "](")
