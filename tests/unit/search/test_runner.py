"""A sweep that goes on: which settings it knows, and what its trials are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ftapp.common.errors import RunError
from ftapp.experiments.find_same import find_same
from ftapp.experiments.sweep.search import Search
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import JobFolder, LocalLauncher, do_nothing
from ftapp.search.runner import run_sweep
from ftapp.search.study import SweepStudy
from tests.support.sweeps import SEARCHED, make_sweep


class Refusing(LocalLauncher):
    """A target that takes no run, as a cluster does whose limits a run exceeds."""

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        """Refuse a run."""
        raise RunError("the queue is closed")


def test_the_number_of_a_trial_without_a_run_is_not_given_again(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs", SEARCHED[:2], {}, status=None)
    search = Search.of(sweep)
    study = SweepStudy(sweep.folder / "study.db", search.spaces, search.metric, 0, 4, prunes=True)
    known = [dict(member.values) for member in sweep.list_members()]
    asked = study.ask("trial 2", known)
    assert asked
    study.tell(asked, None)  # its values were not valid together, so it has no folder
    text = sweep.recipe_file.read_text("utf-8")
    sweep.recipe_file.write_text(text.replace("trials = 30", "trials = 4"), "utf-8")

    launcher = Refusing()
    with Interruption(launcher) as interruption:
        assert run_sweep(sweep, launcher, interruption, debug=False) == 0
    assert [member.arm for member in sweep.list_members()][:3] == ["recipe", "trial 1", "trial 3"]
    assert asked.values not in [member.values for member in sweep.list_members()]


def test_a_sweep_whose_time_is_over_is_unfinished_and_the_same_command_finds_it(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path / "runs", SEARCHED[:2], {}, status=None)
    launcher, searched = Refusing(), sweep.facts["sweep"]["searched"]
    with Interruption(launcher, max_seconds=0) as interruption:
        assert run_sweep(sweep, launcher, interruption, debug=False) == 75
    assert len(sweep.list_members()) == 2, "no trial was started"
    assert sweep.facts["sweep"]["searched"] > searched, "the limit of the search counts the time of all processes"
    assert find_same(tmp_path / "runs", sweep.recipe_file.read_text("utf-8"), is_sweep=True) == sweep
    assert find_same(tmp_path / "runs", sweep.recipe_file.read_text("utf-8")) is None
