"""What is deleted can be restored, is in no list meanwhile, and goes for good after a week or when it is asked for."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ftapp.cli import app
from ftapp.common.errors import RecipeError, RunError
from ftapp.experiments import experiment_creation, experiment_lookup, trash
from ftapp.experiments.arms import Round
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.listing import Summaries
from ftapp.runs import run_folder, run_lookup
from tests.support.recorded_runs import record_run


def experiment_of_two(folder: Path) -> Experiment:
    made = experiment_creation.create("lesson", None, "", ["A", "B"], 1, 1, folder)
    for arm in ("A", "B"):
        made.add(arm, Round(1), record_run(folder))
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def listed(folder: Path) -> list[str]:
    return [summary.run.folder.name for summary in Summaries(folder).read()]


def test_a_deleted_run_is_in_no_list_and_comes_back_as_it_was(tmp_path: Path) -> None:
    run, other = record_run(tmp_path), record_run(tmp_path)
    before = files(run.folder)
    deleted = trash.delete_run(run)
    assert deleted.size == sum(map(len, before.values()))
    assert run_lookup.list_runs(tmp_path) == [other]
    assert [one.folder.name for one in run_lookup.list_runs(tmp_path)] == listed(tmp_path) == [other.folder.name]
    with pytest.raises(RecipeError, match="there is no run"):
        run_lookup.find(run.folder.name, tmp_path)
    assert [each.place for each in trash.list_deleted(tmp_path)] == [run.folder]
    trash.restore(deleted)
    assert files(run.folder) == before
    assert not trash.list_deleted(tmp_path)
    assert set(listed(tmp_path)) == {run.folder.name, other.folder.name}
    with pytest.raises(RunError, match="no longer in the trash"):
        trash.restore(trash.Deleted(deleted.folder, tmp_path / "elsewhere", 0.0))


def test_experiments_go_with_their_runs_or_without(tmp_path: Path) -> None:
    first, second = experiment_of_two(tmp_path), experiment_of_two(tmp_path)
    kept, gone = first.list_members(), second.list_members()
    with first.hold(), pytest.raises(RunError, match="stop it first"):
        trash.delete_experiment(first, with_runs=False)
    trash.delete_experiment(first, with_runs=False)
    assert all(member.run.folder.is_dir() for member in kept)
    deleted = trash.delete_experiment(second, with_runs=True)
    assert experiment_lookup.list_experiments(tmp_path) == []
    assert not any(member.run.folder.exists() for member in gone)
    assert sorted(listed(tmp_path)) == sorted(member.run.folder.name for member in kept)
    for each in deleted:
        trash.restore(each)
    assert second.list_members() == gone
    assert [each.place for each in trash.list_deleted(tmp_path)] == [first.folder]


def test_an_experiment_stays_whole_when_a_part_of_it_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of_two(tmp_path)
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path == experiment.folder:
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(PermissionError):
        trash.delete_experiment(experiment, with_runs=True)
    assert len(experiment.list_members()) == 2
    assert not trash.list_deleted(tmp_path)


def test_what_was_deleted_a_week_ago_is_removed_for_good(tmp_path: Path) -> None:
    old, new = record_run(tmp_path), record_run(tmp_path)
    os.utime(new.folder, (0, 0))  # a run of long ago is not one that was deleted long ago
    trash.delete_run(new)
    week_ago = time.time() - (trash.DAYS + 0.1) * 86400
    os.utime(trash.delete_run(old).folder, (week_ago, week_ago))
    assert trash.empty(tmp_path, days=trash.DAYS) == 1
    assert [each.place for each in trash.list_deleted(tmp_path)] == [new.folder]
    assert trash.empty(tmp_path) == 1
    assert not trash.list_deleted(tmp_path)


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    run = record_run(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    link = tmp_path / "runs" / run.folder.name
    link.symlink_to(run.folder)
    trash.delete_run(run_folder.RunFolder(link))
    assert trash.empty(tmp_path / "runs") == 1
    assert run.recipe_file.is_file()


def test_the_command_lists_restores_and_empties(tmp_path: Path) -> None:
    def invoke(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app.app, ["runs", "--runs-dir", str(tmp_path), *words])
        return result.exit_code, result.stdout + result.stderr

    run, experiment = record_run(tmp_path), experiment_of_two(tmp_path)
    trash.delete_run(run)
    trash.delete_experiment(experiment, with_runs=False)
    listed = invoke("--deleted")[1]
    assert run.folder.name in listed
    assert experiment.folder.name in listed
    assert "KiB" in listed
    assert invoke("--restore", "last") == (0, f"{experiment.folder}\n")
    assert {each["run"] for each in json.loads(invoke("--deleted", "--json")[1])} == {str(run.folder)}
    code, message = invoke("--restore", "nowhere")
    assert code == 2
    assert "no deleted run 'nowhere'" in message
    assert invoke("--restore", run.folder.name[:10])[0] == 0
    assert run.folder.is_dir()
    trash.delete_run(run)
    assert invoke("--empty-trash")[0] == 0
    assert not trash.list_deleted(tmp_path)
