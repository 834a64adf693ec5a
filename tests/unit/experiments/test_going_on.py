"""An experiment that was cut off: whether the queue goes on with it, and which of its runs do what."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ftapp import recipe as recipes
from ftapp.common.errors import RunError
from ftapp.experiments import experiment_creation
from ftapp.experiments.arms import Round
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.find_same import is_unfinished
from ftapp.experiments.options import Options
from ftapp.experiments.runner import run_experiment
from ftapp.experiments.slots import Slots, Watcher
from ftapp.report.experiment import write_result
from ftapp.runs.event_types import Status
from ftapp.runs.history import History
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import JobFolder, LocalLauncher, do_nothing
from ftapp.runs.run_folder import RunFolder
from ftapp.workers.queue import can_start
from tests.support.recorded_runs import record_run


class Refusing(LocalLauncher):
    """A target that takes no run, and notes which it was to start."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.environments: list[Mapping[str, str]] = []

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Refuse a run."""
        self.asked.append(job.folder.name)
        self.environments.append(environment)
        raise RunError("the queue is closed")


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Three repeats of a recipe, of which none has begun."""
    return experiment_creation.prepare(
        recipes.find("bert-full"), None, (), Options(repeats=3), tmp_path / "runs", command=[]
    )


def add(experiment: Experiment, repeat: int, status: Status | None) -> str:
    """Add a run that has ended, or that was cut off where it has no status, and return its name."""
    run = record_run(experiment.folder.parent.parent, status=status)
    experiment.add("bert-full", Round(repeat), run)
    return run.folder.name


def test_the_queue_goes_on_with_an_experiment_until_it_has_a_result_or_is_ended(experiment: Experiment) -> None:
    assert can_start(experiment)
    add(experiment, 1, None)
    assert can_start(experiment)
    experiment.stop()
    assert not can_start(experiment)
    experiment.forget_stop()
    write_result(experiment)
    assert not can_start(experiment)


@pytest.mark.parametrize("ended", ["done", "failed", "interrupted"])
def test_runs_that_have_ended_stay_and_those_that_were_cut_off_go_on(ended: Status, experiment: Experiment) -> None:
    first, second = add(experiment, 1, ended), add(experiment, 2, None)
    launcher = Refusing()
    with Interruption(launcher) as interruption:
        assert run_experiment(experiment, launcher, interruption, debug=False) == (130 if ended == "interrupted" else 1)
    members = experiment.list_members()
    assert [member.round.repeat for member in members] == [1, 2, 3]
    assert [member.run.folder.name for member in members[:2]] == [first, second]
    assert launcher.asked == [second, members[2].run.folder.name]


def test_a_run_that_comes_to_its_end_while_there_is_no_room_has_its_own_result(experiment: Experiment) -> None:
    class Ends(Watcher):
        def __init__(self) -> None:
            self.seen: list[tuple[str, int]] = []

        def on_end(self, run: RunFolder, status: str, history: History) -> None:
            self.seen.append((status, len(history.steps)))

    run = record_run(experiment.folder.parent.parent, status="done")  # an earlier command has started its process
    launcher, watcher = Refusing(), Ends()
    with Interruption(launcher) as interruption:
        slots = Slots(experiment, 1, launcher, interruption, debug=False)
        slots.resume(run, "bert-full", watcher, offline=False)
        slots.wait_for_all()
    assert watcher.seen == [("done", len(run.history().steps))]
    assert launcher.asked == []


def test_an_experiment_that_its_user_has_ended_goes_on_with_the_runs_that_ended_with_it(experiment: Experiment) -> None:
    add(experiment, 1, "done")
    second = add(experiment, 2, "interrupted")
    write_result(experiment)
    launcher = Refusing()
    with Interruption(launcher) as interruption:
        run_experiment(experiment, launcher, interruption, debug=False)
    assert launcher.asked == [second, experiment.list_members()[2].run.folder.name]


def test_an_experiment_whose_folder_is_deleted_ends_its_runs_and_starts_no_other(experiment: Experiment) -> None:
    class Deleting(Refusing):
        def start(
            self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing
        ) -> None:
            shutil.rmtree(experiment.folder)
            super().start(job, environment, prepare)

    launcher = Deleting()
    with (
        Interruption(launcher) as interruption,
        pytest.raises(RunError, match=r"has ended: its folder is gone: it was deleted or moved"),
    ):
        run_experiment(experiment, launcher, interruption, debug=False)
    assert interruption.requested
    assert len(launcher.asked) == 1


def test_when_the_time_is_over_no_run_starts_and_the_experiment_is_unfinished(experiment: Experiment) -> None:
    add(experiment, 1, "done")
    launcher = Refusing()
    with Interruption(launcher, max_seconds=0) as interruption:
        assert run_experiment(experiment, launcher, interruption, debug=False) == 75
    assert launcher.asked == []
    assert is_unfinished(experiment)


def test_runs_get_the_time_that_is_left(experiment: Experiment) -> None:
    launcher = Refusing()
    with Interruption(launcher, max_seconds=3600) as interruption:
        run_experiment(experiment, launcher, interruption, debug=False)
    left = [float(environment["FTAPP_MAX_SECONDS"]) for environment in launcher.environments]
    assert 3600 >= left[0] > left[1] > left[2] > 0


def test_an_experiment_all_of_whose_runs_have_ended_is_done_though_the_time_is_over(experiment: Experiment) -> None:
    for repeat in (1, 2, 3):
        add(experiment, repeat, "done")
    launcher = Refusing()
    with Interruption(launcher, max_seconds=0) as interruption:
        assert run_experiment(experiment, launcher, interruption, debug=False) == 0
    assert not is_unfinished(experiment)
