"""Checkpoints of which a file is damaged, cut, empty, lost or something else: none is trained on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftapp import recipe as recipes
from ftapp.common import cache_folders
from ftapp.runs.checkpoints import FACTS_FILE, STATE_FILE, find_resume_point, list_checkpoints
from ftapp.runs.environment import MAX_SECONDS
from ftapp.runs.run_folder import RunFolder
from tests.conftest import Finished
from tests.faults.conftest import Make, Train
from tests.support.damage import DAMAGES

DAMAGED = "the checkpoint of step 9 is damaged: its files are not as they were saved"


@pytest.fixture
def run(ended: Finished) -> RunFolder:
    """A run of nine steps with nine checkpoints."""
    return ended[1]


def newest(run: RunFolder) -> Path:
    return list_checkpoints(run)[0][1]


def test_each_damage_of_each_file_is_noticed(run: RunFolder) -> None:
    recipe, folder = recipes.load(run.recipe_file), newest(run)
    files = [path.name for path in folder.iterdir()]
    assert len(files) == 5
    assert find_resume_point(run, recipe).folder == folder
    whole = folder.with_name("whole")
    folder.rename(whole)
    for name in files:
        for damage in DAMAGES:
            shutil.copytree(whole, folder)
            damage(folder / name)
            point = find_resume_point(run, recipe)
            assert point.notes == [DAMAGED], (name, damage)
            assert point.folder == list_checkpoints(run)[1][1], (name, damage)
            shutil.rmtree(folder)


@contextmanager
def changed(file: Path, changes: dict[str, Any]) -> Iterator[None]:
    """A file of a checkpoint with other numbers, and with hashes that fit them."""
    content = file.read_bytes()
    held = msgspec.json.decode(content)
    for key, value in changes.items():
        held[key] = held[key] | value if isinstance(value, dict) else value
    file.write_bytes(msgspec.json.encode(held))
    cache_folders.write_manifest(file.parent)
    yield
    file.write_bytes(content)
    cache_folders.write_manifest(file.parent)


def test_absurd_numbers_are_not_believed(run: RunFolder, train: Train) -> None:
    recipe, folder = recipes.load(run.recipe_file), newest(run)
    facts: list[dict[str, Any]] = [
        {"step": 10**15},
        {"step": 8},
        {"step": -1},
        {"offset": 2**61},
        {"offset": 10**30},
        {"format": 99},
        {"precision": "float8"},
        {"time": -1e300},
    ]
    for changes in facts:
        with changed(folder / FACTS_FILE, changes):
            point = find_resume_point(run, recipe)
        assert point.folder == list_checkpoints(run)[1][1], changes
        assert len(point.notes) == 1
    before, steps = run.events_file.read_bytes(), len(run.history().steps)
    positions: list[dict[str, Any]] = [
        {"phase": 7},
        {"phase": "first"},
        {"run_step": 10**12},
        {"step": 10**12},
        {"step": -3},
        {"step": 8},
    ]
    for changes in positions:
        with changed(folder / STATE_FILE, {"position": changes}):
            code, history = train(run)
        assert code in (1, 2), changes
        assert "the run could not go on: " in history.notes[-1].message
        assert len(history.steps) == steps
        assert run.events_file.read_bytes().startswith(before)


def test_a_run_goes_on_from_the_newest_whole_checkpoint(run: RunFolder, train: Train) -> None:
    whole = run.history()
    for step, name in ((9, "weights.safetensors"), (8, "optimizer.safetensors"), (7, cache_folders.MANIFEST)):
        DAMAGES[step % len(DAMAGES)](run.checkpoints_folder / f"state-{step:08}" / name)
    code, again = train(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [6]
    assert [note.message for note in again.notes] == [DAMAGED.replace("9", str(step)) for step in (9, 8, 7)]
    assert again.saved
    assert whole.saved
    assert again.saved.weights == whole.saved.weights
    assert find_resume_point(run, recipes.load(run.recipe_file)).notes == []


def test_new_checkpoints_stay_where_later_ones_were_damaged(
    make: Make, train: Train, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(image_recipe, "checkpoint.every_steps=1", "checkpoint.keep=2")
    _, whole = train(run)
    for _, folder in list_checkpoints(run):
        DAMAGES[0](folder / "weights.safetensors")
    monkeypatch.setenv(MAX_SECONDS, "0")
    assert train(run)[0] == 75
    assert [step for step, _ in list_checkpoints(run)] == [1]
    monkeypatch.delenv(MAX_SECONDS)
    code, again = train(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [0, 1]
    assert again.saved
    assert whole.saved
    assert again.saved.weights == whole.saved.weights


def test_a_run_without_its_log_or_its_commands_begins_again_and_says_so(run: RunFolder, train: Train) -> None:
    whole = run.history()
    run.events_file.unlink()
    run.control_file.unlink()
    run.status_file.unlink()
    code, again = train(run)
    assert code == 0
    assert [each.step for each in again.resumed] == [0]
    assert "events.jsonl has lost events" in again.notes[0].message
    assert again.saved
    assert whole.saved
    assert again.saved.weights == whole.saved.weights
