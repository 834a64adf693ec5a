"""The files that come with ftapp: recipes, and the weights of small models."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resources(name: str) -> Path:
    """The folder `recipes` or `assets`: inside the package when installed from a wheel, beside it in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def bundled() -> dict[str, Path]:
    """The recipes that come with ftapp, by name; those that compare arms last."""
    paths = sorted(resources("recipes").glob("*.toml"), key=lambda path: (path.stem.startswith("lesson-"), path))
    return {path.stem: path for path in paths}
