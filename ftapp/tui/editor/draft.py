"""A recipe that is being changed: its file, a profile and the changes to them, as `ftapp run` would be given them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp import recipe
from ftapp.common.errors import Problem, RecipeError
from ftapp.experiments import experiment_folder
from ftapp.experiments.experiment_folder import Experiment, Options
from ftapp.recipe import Recipe
from ftapp.recipe.toml_text import format_override
from ftapp.runs import run_folder
from ftapp.runs.environment import check_installed, make_environment
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import Run

if TYPE_CHECKING:
    from ftapp.analysis.advice import Recommendation


@dataclass(frozen=True)
class Draft:
    """path: the recipe's file; profile: one of its profiles, or None; changes: values by dotted key, laid over both in
    their order, such as {"data.limit": 500, "phase.head.epochs": 3}, or with `recipe.of_arm` before them; None takes a
    key away; options: how often and how many at once, where it is an experiment.
    """

    path: Path
    profile: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    @classmethod
    def of(cls, course: Recommendation) -> Draft:
        """The recipe that is advised, with its changes."""
        return cls(recipe.bundled()[course.recipe], course.profile, course.changes)

    @property
    def name(self) -> str:
        """What `ftapp run` takes for it: a name that comes with ftapp, or a path."""
        return self.path.stem if recipe.bundled().get(self.path.stem) == self.path else str(self.path)

    @property
    def overrides(self) -> list[str]:
        """The changes as `--set` takes them."""
        return [format_override(key, value) for key, value in self.changes.items()]

    def load(self) -> Recipe:
        """The recipe with profile and changes applied. Raises RecipeError with all problems at once."""
        return self.load_experiment().base

    def load_experiment(self) -> recipe.RecipeWithArms:
        """The same with its arms."""
        return recipe.load_experiment(self.path, self.profile, self.overrides)

    def tables(self, arm: str | None = None) -> dict[str, Any]:
        """The raw tables with profile and changes, valid or not, of one arm or of the recipe itself.

        Raises RecipeError when the file cannot be read.
        """
        return recipe.tables(self.path, self.profile, self.overrides, arm)

    def arms(self) -> list[str]:
        """The names of its arms. Raises as `tables`."""
        return recipe.arm_names(self.path, self.profile, self.overrides)

    def problems(self) -> list[Problem]:
        """What is wrong with it, in the words of `ftapp validate`."""
        try:
            self.load()
        except RecipeError as error:
            return error.problems
        return []

    def changed(self, key: str, value: Any) -> Draft:
        """The draft with one more change; a change of the same key is replaced, and comes last."""
        return replace(self, changes={**self.unchanged(key).changes, key: value})

    def unchanged(self, key: str) -> Draft:
        """The draft without a change of this key."""
        return replace(self, changes={other: value for other, value in self.changes.items() if other != key})

    def command(self) -> str:
        """The equivalent command line."""
        words = ["ftapp", "run", self.name, *(["--profile", self.profile] if self.profile else [])]
        overrides = (word for override in self.overrides for word in ("--set", override))
        return shlex.join([*words, *overrides, *self.options.words])

    def check(self) -> None:
        """Raise RecipeError when it is not valid, its backend is not installed or its data cannot be used. Data are
        read for it, which takes seconds.
        """
        loaded = self.load_experiment()
        from ftapp.data import preflight  # here, since NumPy takes a quarter of a second to import

        preflight.check(loaded.arms.values() or [loaded.base])

    def start(self, runs_dir: Path, *, offline: bool) -> Run | Experiment:
        """Start its run or, where it has arms or is repeated, its experiment, which goes on without this process.

        Raises RecipeError when it is not valid or its backend is not installed, OSError when no folder can be made.
        """
        loaded, command = self.load_experiment(), shlex.split(self.command())
        if loaded.arms or self.options.given:
            experiment = experiment_folder.prepare(
                self.path, self.profile, self.overrides, self.options, runs_dir, command=command, offline=offline
            )
            LocalLauncher().start(experiment, {})
            return experiment
        resolved = loaded.base
        check_installed(resolved.backend)
        facts = {"command": command, "hubless_profiles": recipe.hubless_profiles(self.path)}
        run = run_folder.create(resolved, self.path.stem, self.profile, runs_dir, **facts)
        LocalLauncher().start(run, make_environment(resolved.backend, offline=offline))
        return run

    def save(self, file: Path, *, replace: bool = False) -> None:
        """Write it as a recipe of its own, with all keys. replace: whether in the place of a file that is there.

        Raises RecipeError, and FileExistsError or OSError.
        """
        text = self.load_experiment().to_toml()
        with file.open("w" if replace else "x", encoding="utf-8") as target:
            target.write(text)
