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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.locks import is_locked, lock_alone
from ftapp.common.safe_files import exists, explain_lost_folder, is_file, read_object
from ftapp.experiments.arms import Round, list_rounds
from ftapp.experiments.experiment_files import FACTS, RESULT
from ftapp.runs.run_folder import GOING_ON, REPORT_FILE, RunFolder, find_recipe_damage

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
        """The file of the facts (`ftapp.experiments.experiment_creation`)."""
        return self.folder / "experiment.json"

    @property
    def facts(self) -> dict[str, Any]:
        """The facts, without values of wrong types; empty when the file is not readable."""
        return read_object(self.facts_file, FACTS)[0]

    def read_result(self) -> dict[str, Any] | None:
        """Read the result, without values of wrong types; None before the end, and where the file is not readable."""
        return None if self.alive() else read_object(self.result_file, RESULT)[0] or None

    def damage(self) -> str | None:
        """Find what is wrong with the experiment's files, in words; None when nothing is."""
        missing = (each.name for each in (self.facts_file, self.recipe_file) if not exists(each))
        return (
            explain_lost_folder(self.folder)
            or next((f"its {name} is missing" for name in missing), None)
            or read_object(self.facts_file, FACTS)[1]
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
        return self.folder / REPORT_FILE

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
        if (found := set(statuses)) & set(GOING_ON):  # when they were looked at; all of it has ended since
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
