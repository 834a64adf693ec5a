"""The recipe with which `ftapp evaluate --source` reads other data."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.api.evaluations import load_other
from ftapp.runs.run_folder import RunFolder


@pytest.mark.parametrize(
    "keys",
    [
        ["data.folds=5", "data.fold=2"],
        ["data.split_column=part"],
        ["data.order_column=day", "data.limit=40"],
        ["data.weight_column=weight", "data.group_column=patient"],
    ],
)
def test_other_data_are_read_without_the_keys_about_the_own_data(keys: list[str], tmp_path: Path) -> None:
    run, table, folder = RunFolder(tmp_path), tmp_path / "own.csv", tmp_path / "other"
    table.touch()
    folder.mkdir()
    own = recipes.load(recipes.find("bert-freeze-attention"), "quick", [f"data.source=csv:{table}", *keys])
    run.recipe_file.write_text(own.to_toml(), encoding="utf-8")
    other = load_other(run, f"folder:{folder}", []).data
    assert [getattr(other, key.partition("=")[0].removeprefix("data.")) for key in keys] == [None] * len(keys)
    assert load_other(run, f"csv:{table}", ["data.limit=3"]).data.limit == 3
