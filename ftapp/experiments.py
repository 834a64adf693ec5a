"""Experiments: the runs of a recipe's arms, which began from the same weights and saw the same batches.

An experiment has a folder of its own beside the runs, `experiments/NAME`, and its runs are runs like any others:

experiment.json   arms, repeats and the names of the runs   recipe.toml   the recipe with its arms
result.json       what the arms gave, compared              report.html   the same as a page
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftapp.recipe import Recipe
from ftapp.runs import Run

_FOLDER = "experiments"
_CONTROL = "again"


@dataclass(frozen=True)
class Member:
    """A run of an experiment: of which arm, and in which repeat, counted from 1."""

    arm: str
    repeat: int
    run: Run


@dataclass(frozen=True)
class Experiment:
    """An experiment's folder."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What `create` wrote down; empty when it is not readable."""
        try:
            return dict(json.loads((self.folder / "experiment.json").read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    @property
    def recipe_file(self) -> Path:
        return self.folder / "recipe.toml"

    @property
    def report_file(self) -> Path:
        return self.folder / "report.html"

    @property
    def result_file(self) -> Path:
        return self.folder / "result.json"

    def members(self) -> list[Member]:
        """Its runs, in the order in which they were started. Runs that were deleted are left out."""
        place = self.folder.parent.parent
        found = [Member(each["arm"], each["repeat"], Run(place / each["run"])) for each in self.facts.get("runs", [])]
        return [member for member in found if member.run.recipe_file.is_file()]

    def arms(self) -> dict[str, list[Run]]:
        """The runs of each arm by their repeats, in the recipe's order. Repeats that lack an arm are left out."""
        by_repeat: dict[int, dict[str, Run]] = {}
        for member in self.members():
            by_repeat.setdefault(member.repeat, {})[member.arm] = member.run
        names = self.facts.get("arms", [])
        whole = [found for _, found in sorted(by_repeat.items()) if len(found) == len(names)]
        return {name: [found[name] for found in whole] for name in names} if whole else {}

    def add(self, arm: str, repeat: int, run: Run) -> None:
        """Write down that a run belongs to the experiment."""
        facts = self.facts
        facts["runs"].append({"arm": arm, "repeat": repeat, "run": run.folder.name})
        self._write(facts)

    def _write(self, facts: dict[str, Any]) -> None:
        file = self.folder / "experiment.json"
        scratch = file.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        scratch.replace(file)


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
    """Make a new experiment's folder. text: the recipe with its arms; arms: their names, a control included.

    repeats: how often each arm is run, with one seed after another; jobs: how many runs go at once; facts: what else to
    write down.
    """
    label = "-".join([time.strftime("%Y%m%d-%H%M%S"), name, *([profile] if profile else []), secrets.token_hex(2)])
    made = Experiment((runs_dir / _FOLDER / label).absolute())
    made.folder.mkdir(parents=True)
    made.recipe_file.write_text(text, encoding="utf-8")
    made._write(
        {
            "recipe": name,
            "profile": profile,
            "arms": list(arms),
            "repeats": repeats,
            "jobs": jobs,
            **facts,
            "created": time.time(),
            "runs": [],
        }
    )
    return made


def find(name: str, runs_dir: Path) -> Experiment | None:
    """An experiment by its folder or by its name beside the runs; None when there is none of that name."""
    for folder in (Path(name), runs_dir / _FOLDER / name):
        if (folder / "experiment.json").is_file():
            return Experiment(folder.absolute())
    return None


def schedule(arms: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """(repeat, arm) in the order of the runs: every other repeat turns the arms around.

    A machine that grows slower or faster in the course then treats all arms alike.
    """
    for repeat in range(1, repeats + 1):
        for arm in arms if repeat % 2 else reversed(arms):
            yield repeat, arm


def with_control(arms: dict[str, Recipe]) -> dict[str, Recipe]:
    """The arms, with the first a second time: an A/A control, whose difference is that of runs that do not differ."""
    first = next(iter(arms))
    return {first: arms[first], f"{first} {_CONTROL}": arms[first]} | arms


def slug(arm: str) -> str:
    """An arm's name as a part of a folder's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", arm).strip("-").lower()
