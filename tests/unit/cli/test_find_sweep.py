"""The sweep that `ftapp sweep --resume` names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.cli.sweep import find_sweep
from ftapp.common.errors import RecipeError
from ftapp.experiments import trash
from tests.support.sweeps import make_sweep


def test_a_sweep_that_is_damaged_deleted_or_missing_is_refused_with_the_reason(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, finals={})
    name = sweep.folder.name
    assert find_sweep("last", tmp_path) == find_sweep(name[:12], tmp_path) == sweep
    whole = sweep.recipe_file.read_bytes()
    sweep.recipe_file.write_bytes(b"title = ")
    with pytest.raises(RecipeError, match="cannot go on: its recipe"):
        find_sweep("last", tmp_path)
    sweep.recipe_file.write_bytes(whole)
    trash.delete_experiment(sweep, with_runs=False)
    with pytest.raises(RecipeError, match=f"is deleted; 'ftapp runs --restore {name}' restores it"):
        find_sweep(name, tmp_path)
    with pytest.raises(RecipeError, match="there is no sweep in"):
        find_sweep("last", tmp_path)
