"""Model folders of which a file is damaged, cut, empty, lost or something else: none predicts, and Try it says why."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from ftapp.common.errors import RunError
from ftapp.models import saved_model
from ftapp.rpc.server import Request
from ftapp.workers.run_models import RunModels
from tests.faults.conftest import Make, Train
from tests.support.damage import DAMAGES


def test_each_damage_of_each_file_is_noticed(make: Make, train: Train, image_recipe: str) -> None:
    run = make(image_recipe)
    assert train(run)[0] == 0
    folder = run.model_folder
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert {"model.keras", "ftapp.json", ".ftapp-manifest.json"} < {str(file) for file in files}
    whole, kept = folder.rename(folder.with_name("whole")), RunModels()
    for file in files:
        for damage in DAMAGES:
            shutil.copytree(whole, folder)
            damage(folder / file)
            with pytest.raises(RunError) as refused:
                saved_model.load(folder)
            assert str(folder) in str(refused.value), (file, damage)
            with pytest.raises(RunError) as refused:
                kept.load(Request(1, "load", {}, list[Any]().append), str(run.folder))
            assert str(folder) in str(refused.value), (file, damage)
            shutil.rmtree(folder)
    with pytest.raises(RunError, match="no whole model"):
        saved_model.load(folder)
    shutil.copytree(whole, folder)
    assert saved_model.load(folder).classes == ("across", "down")
