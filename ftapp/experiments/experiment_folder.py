"""Experiments: the runs of a recipe's arms, which began from the same weights and saw the same batches.

Each arm runs once in each round. A round is a repeat with a seed of its own, or a fold of cross-validation. A sweep
(`ftapp.experiments.sweep`) is an experiment too: round 1 is its search, and the later rounds compare its best arms.

An experiment has a folder of its own beside the runs, `experiments/NAME`, and its runs are runs like any others:

experiment.json   arms, repeats and the names of the runs   recipe.toml      the recipe with its arms
result.json       what the arms gave, compared              report.html      the same as a page
experiment.lock   locked while a process carries it out     experiment.log   its output, where it has no terminal
stop              there once it is to end early               study.db          the search of a sweep
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.locks import is_locked, lock_alone
from ftapp.common.person import Person
from ftapp.common.safe_files import exists, is_file, read_object
from ftapp.experiments.arms import Round, add_control, list_rounds
from ftapp.experiments.experiment_files import FACTS, RESULT
from ftapp.experiments.options import Options
from ftapp.runs import run_folder
from ftapp.runs.environment import check_installed
from ftapp.runs.run_folder import RunFolder, find_recipe_damage

if TYPE_CHECKING:
    from ftapp.recipe import Recipe

FOLDER = "experiments"


@dataclass(frozen=True)
class Member:
    """A run of an experiment.

    Attributes:
        arm: The name of its arm.
        round: Its repeat and its fold.
        run: The run.
        values: Of a run of a sweep, the values that it tries, by key.
    """

    arm: str
    round: Round
    run: RunFolder
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """An experiment's folder.

    Attributes:
        folder: The folder.
        worker: The module that carries an experiment out.
    """

    folder: Path
    worker: ClassVar[str] = "ftapp.workers.experiment"

    @property
    def facts_file(self) -> Path:
        """The file of the facts that `create` wrote down."""
        return self.folder / "experiment.json"

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that `create` wrote down, without values of wrong types; empty when the file is not readable."""
        return read_object(self.facts_file, FACTS)[0]

    def read_result(self) -> dict[str, Any] | None:
        """Read the result, without values of wrong types; None before the end, and where the file is not readable."""
        return None if self.alive() else read_object(self.result_file, RESULT)[0] or None

    def damage(self) -> str | None:
        """Find what is wrong with the experiment's files, in words; None when nothing is."""
        for file in (self.facts_file, self.recipe_file):
            if not exists(file):
                return f"its {file.name} is missing"
        return (
            read_object(self.facts_file, FACTS)[1]
            or find_recipe_damage(self.recipe_file)
            or read_object(self.result_file, RESULT)[1]
        )

    @property
    def recipe_file(self) -> Path:
        """The recipe with its arms."""
        return self.folder / "recipe.toml"

    @property
    def report_file(self) -> Path:
        """The result as a page."""
        return self.folder / "report.html"

    @property
    def result_file(self) -> Path:
        """The file of the result."""
        return self.folder / "result.json"

    @property
    def lock_file(self) -> Path:
        """The file that is locked while a process carries the experiment out."""
        return self.folder / "experiment.lock"

    @property
    def log_file(self) -> Path:
        """The output of that process, where it has no terminal."""
        return self.folder / "experiment.log"

    @property
    def planned(self) -> int:
        """The number of runs that the experiment comes to."""
        facts = self.facts
        if self.is_sweep:
            return int(facts["sweep"]["planned"])
        rounds: int = facts.get("repeats", 1) * (facts.get("folds", 0) or 1)
        return len(facts.get("arms", [])) * rounds

    def list_rounds(self) -> list[Round]:
        """List the rounds, in each of which all arms run. They do not in the search of a sweep."""
        facts = self.facts
        found = list_rounds(facts.get("repeats", 1) + self.is_sweep, facts.get("folds", 0))
        return found[1:] if self.is_sweep else found

    @property
    def is_sweep(self) -> bool:
        """Whether it is a sweep."""
        return "sweep" in self.facts

    def alive(self) -> bool:
        """Tell whether a process carries the experiment out."""
        return is_locked(self.lock_file)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Mark, until the context ends, that this process carries the experiment out."""
        with self.lock_file.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def hold_alone(self) -> Iterator[None]:
        """Mark the same of an experiment that another process may carry out already.

        Raises:
            RunError: It does.
        """
        with self.lock_file.open("ab") as lock:
            try:
                lock_alone(lock)
            except BlockingIOError as error:
                raise RunError(f"{self.folder.name} goes on already, in another process") from error
            self.forget_stop()
            yield

    def status(self, statuses: Iterable[str]) -> str:
        """Return how the experiment stands.

        Args:
            statuses: The statuses of its runs.

        Returns:
            running, done, failed, refused, interrupted, unfinished, damaged, or crashed: ended without a result.
        """
        if self.alive():
            return "running"
        if self.damage():
            return "damaged"
        if self.refusal:
            return "refused"
        if not is_file(self.result_file):
            return "crashed"
        if self.is_sweep:  # a trial may fail or be pruned, which is a result too
            return str(self.facts["sweep"].get("status", "crashed"))
        if (found := set(statuses)) & set(run_folder.GOING_ON):  # when they were looked at; all of it has ended since
            return "running"
        if found & {"failed", "crashed", "refused", "damaged"}:
            return "failed"
        early = "unfinished" if "unfinished" in found else "interrupted"
        return "done" if found == {"done"} and len(self.facts.get("runs", [])) == self.planned else early

    def stop(self) -> None:
        """End the experiment early: its runs end after their steps, and no other starts.

        Raises:
            OSError: The folder cannot be written.
        """
        (self.folder / "stop").touch()

    def forget_stop(self) -> None:
        """Forget that an earlier process was to end early."""
        (self.folder / "stop").unlink(missing_ok=True)

    def is_stopping(self) -> bool:
        """Tell whether the experiment is to end early."""
        return (self.folder / "stop").exists()

    def list_members(self) -> list[Member]:
        """List the runs in the order in which they were started. Deleted runs are left out."""
        place = self.folder.parent.parent
        found = [
            Member(
                each["arm"],
                Round(each["repeat"], each.get("fold", 0)),
                RunFolder(place / each["run"]),
                each.get("values", {}),
            )
            for each in self.facts.get("runs", [])
        ]
        return [member for member in found if is_file(member.run.recipe_file)]

    def group_runs(self) -> dict[str, dict[Round, RunFolder]]:
        """Group the runs by arm, in the recipe's order, each in order of rounds.

        Rounds that lack an arm are left out.
        """
        rounds = self.list_rounds()
        by_round: dict[Round, dict[str, RunFolder]] = {}
        for member in self.list_members():
            if member.round not in rounds:
                continue
            by_round.setdefault(member.round, {})[member.arm] = member.run
        names = self.facts.get("arms", [])
        whole = {each: found for each, found in sorted(by_round.items()) if found.keys() >= set(names)}
        return {name: {each: found[name] for each, found in whole.items()} for name in names} if whole else {}

    def add(self, arm: str, of: Round, run: RunFolder, **more: Any) -> None:
        """Write down that a run belongs to the experiment.

        Args:
            arm: The name of its arm.
            of: Its round.
            run: The run.
            more: What else to write down of it.
        """
        facts = self.facts
        fold = {"fold": of.fold} if of.fold else {}
        facts["runs"].append({"arm": arm, "repeat": of.repeat, **fold, "run": run.folder.name, **more})
        self.write_facts(facts)

    @property
    def refusal(self) -> str:
        """The reason why the data of an arm were refused; "" where they were not."""
        return str(self.facts.get("refused", ""))

    def refuse(self, run: RunFolder, reason: str) -> None:
        """Write down that the data of a run were refused; the run then is none of the experiment.

        Args:
            run: The run.
            reason: The reason, in words.
        """
        facts = self.facts
        facts["runs"] = [each for each in facts["runs"] if each["run"] != run.folder.name]
        self.write_facts(facts | {"refused": reason})

    def remove_refused(self) -> bool:
        """Remove the experiment where data were refused before any run began, and return whether they were."""
        refused = bool(self.refusal) and not self.facts["runs"]
        if refused:
            shutil.rmtree(self.folder, ignore_errors=True)
        return refused

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Write the facts of the experiment in place of the former ones."""
        replace_file(self.facts_file, json.dumps(facts, indent=2).encode() + b"\n")


def create(
    name: str,
    profile: str | None,
    text: str,
    arms: Sequence[str],
    repeats: int,
    jobs: int,
    runs_dir: Path,
    **facts: Any,
) -> Experiment:
    """Make a new experiment's folder.

    Args:
        name: The recipe's name.
        profile: The profile that was applied; None for none.
        text: The recipe with its arms as TOML.
        arms: The names of the arms, a control included.
        repeats: How many seeds each arm is run with.
        jobs: How many runs go at once.
        runs_dir: The folder of all runs.
        facts: Other facts to write down.

    Returns:
        The experiment.
    """
    made = Experiment(run_folder.make_new_folder(runs_dir / FOLDER, name, profile))
    replace_file(made.recipe_file, text.encode())
    made.write_facts(
        {
            **{"recipe": name, "profile": profile, "owner": Person.read().name, "arms": list(arms)},
            **{"repeats": repeats, "jobs": jobs, **facts},
            **{"created": time.time(), "runs": []},
        }
    )
    return made


def prepare(
    path: Path,
    profile: str | None,
    overrides: Sequence[str],
    options: Options,
    runs_dir: Path,
    *,
    command: Sequence[str],
    offline: bool = False,
    verify_cache: bool = False,
    on: str = "local",
) -> Experiment:
    """Make the folder of an experiment with a recipe's arms; a recipe without arms is its only arm.

    Args:
        path: The recipe's file.
        profile: The name of a profile; None for none.
        overrides: Texts `key=value`.
        options: Repeats, jobs and control.
        runs_dir: The folder of all runs.
        command: The command line, to be written down.
        offline: Whether the runs make no network call.
        verify_cache: Whether the runs recompute some cached features.
        on: The target of the runs (`ftapp.launchers.target`).

    Returns:
        The experiment.

    Raises:
        RecipeError: The recipe or the options are refused.
        OSError: The folder cannot be made.
    """
    from ftapp import recipe  # here, since lists of runs need none of it

    options.check()
    loaded = recipe.load_experiment(path, profile, overrides)
    for each in (loaded.base, *loaded.arms.values()):
        check_installed(each)
    names = list(add_control(loaded.arms or {path.stem: loaded.base}, options.control))
    facts = {"control": options.control, "offline": offline, "verify_cache": verify_cache, "command": list(command)}
    facts |= {"on": on, "folds": loaded.folds, "hubless_profiles": recipe.list_hubless_profiles(path)}
    return create(path.stem, profile, loaded.to_toml(), names, options.repeats, options.jobs, runs_dir, **facts)


def load_recipes(experiment: Experiment) -> dict[str, Recipe]:
    """Load the resolved recipe of each arm, a control included.

    Args:
        experiment: The experiment.

    Returns:
        The recipes by the names of the arms, in order.

    Raises:
        RecipeError: The experiment's recipe is not valid.
    """
    from ftapp import recipe

    loaded, facts = recipe.load_experiment(experiment.recipe_file), experiment.facts
    return add_control(loaded.arms or {facts["recipe"]: loaded.base}, facts["control"])


def list_experiments(runs_dir: Path) -> list[Experiment]:
    """List the experiments beside the runs, the newest first."""
    place = (runs_dir / FOLDER).absolute()
    return [Experiment(place / name) for name in run_folder.list_folders(place, "experiment.json")]


def find(name: str, runs_dir: Path) -> Experiment | None:
    """Find an experiment.

    Args:
        name: Its folder, or its name beside the runs.
        runs_dir: The folder of all runs.

    Returns:
        The experiment; None when there is none of that name.
    """
    for folder in (Path(name), runs_dir / FOLDER / name):
        if is_file(folder / "experiment.json"):
            return Experiment(folder.absolute())
    return None
