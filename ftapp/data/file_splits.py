"""Splits by the names of files, such as wiki.train.txt, or part-0.csv in a folder that is called test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftapp.common.formatting import escape_unprintable, join_names
from ftapp.data.examples import SPLITS, DataProblems
from ftapp.recipe import folder_layout


def find(paths: Sequence[Path], findings: DataProblems, notes: list[str]) -> NDArray[np.int8] | None:
    """Find the splits that files are called like, if all are, and one trains.

    Args:
        paths: The files.
        findings: Gets a problem where some files are called like splits and others are not.
        notes: Gets a sentence about the splits.

    Returns:
        The split of each file, int8 (files,): TRAIN, VALIDATION or TEST. None where the names say none.

    Raises:
        RecipeError: Only some files are called like splits.
    """
    names = list(name_files(paths).values())
    roles = [_find_role(name) for name in names]
    if "train" not in roles or not {"validation", "test"} & set(roles):
        return None
    if not all(roles):
        stranger = names[roles.index(None)]
        like = [name for name, role in zip(names, roles, strict=True) if role]
        findings.add(
            _find_root(paths),
            f"{join_names(like)} are called like splits, and '{stranger}' is not; files are called like splits all or "
            "none; move that file away, name the others by a pattern, or divide what all files hold: "
            "--set data.splits=none",
        )
        findings.check()
    parts = [
        f"{part} from {join_names(of)}"
        for part in SPLITS
        if (of := [name for name, role in zip(names, roles, strict=True) if role == part])
    ]
    notes.append(f"splits by file: {', '.join(parts)}")
    return np.array([SPLITS[role] for role in roles if role], np.int8)


def name_files(paths: Sequence[Path]) -> dict[Path, str]:
    """Name files by their paths from the folder that they have in common."""
    root = _find_root(paths)
    return {path: escape_unprintable(str(path.relative_to(root))) for path in paths}


def _find_root(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in paths]))


def _find_role(name: str) -> folder_layout.Role | None:
    """Find the split that a path's folders or name say."""
    path = Path(name)
    for part in (*path.parent.parts, path.stem):
        if (role := folder_layout.find_role(part)) is not None and role != "unlabelled":
            return role
    return None
