"""A recipe that is being changed: its file, a profile and changes, as `ftapp run` takes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftapp import recipe
from ftapp.common.errors import Problem, RecipeError
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.options import Options
from ftapp.experiments.prepare_job import make_label, prepare_job
from ftapp.experiments.sweep.search import Search, load_search
from ftapp.launchers.choose import choose_target, make_launcher
from ftapp.launchers.target import LaunchTarget, parse_target
from ftapp.recipe import Recipe
from ftapp.recipe.toml_text import format_override
from ftapp.recipe.user_settings import load_settings
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.starting import RunStart

if TYPE_CHECKING:
    from ftapp.analysis.advice import Recommendation

SWEEP = "sweep."
"""The prefix of the keys of the table [sweep]."""

OVER = f"{SWEEP}over."
"""The prefix of the values to try: `sweep.over."KEY"` is one change for each key."""


@dataclass(frozen=True)
class Draft:
    """A recipe with changes that are not saved.

    Attributes:
        path: The recipe's file.
        profile: One of its profiles, or None.
        changes: Values by dotted key, laid over file and profile in their order, such as
            {"data.limit": 500, "phase.head.epochs": 3}. Keys of an arm begin with its prefix
            (`recipe.make_arm_prefix`). None removes a key.
        options: Repeats, jobs and control of an experiment, and whether it is a sweep.
        on: Where the run goes, as `--on` takes it; None where the user's settings decide.
    """

    path: Path
    profile: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    on: str | None = None

    @classmethod
    def of(cls, advised: Recommendation) -> Draft:
        """Make a draft of an advised recipe with its changes."""
        return cls(recipe.bundled()[advised.recipe], advised.profile, advised.changes)

    @property
    def name(self) -> str:
        """The argument of `ftapp run`: the name of a bundled recipe, or a path."""
        return self.path.stem if recipe.bundled().get(self.path.stem) == self.path else str(self.path)

    @property
    def overrides(self) -> list[str]:
        """The changes as arguments of `--set`."""
        return [format_override(key, value) for key, value in self.changes.items()]

    def load(self) -> Recipe:
        """Load the recipe with profile and changes applied.

        Raises:
            RecipeError: The recipe is not valid; the error has all problems.
        """
        return self.load_experiment().base

    def load_experiment(self) -> recipe.RecipeWithArms:
        """Load the recipe with its arms. Raises as `load`."""
        return recipe.load_experiment(self.path, self.profile, self.overrides)

    def tables(self, arm: str | None = None) -> dict[str, Any]:
        """Read the raw tables with profile and changes, valid or not.

        Args:
            arm: The name of an arm; None for the recipe itself.

        Raises:
            RecipeError: The file cannot be read.
        """
        return recipe.read_tables(self.path, self.profile, self.overrides, arm)

    def arms(self) -> list[str]:
        """Read the names of the arms. Raises as `tables`."""
        return recipe.list_arms(self.path, self.profile, self.overrides)

    def problems(self) -> list[Problem]:
        """Find the problems that `ftapp validate` reports."""
        try:
            self.load()
        except RecipeError as error:
            return error.problems
        return []

    @property
    def label(self) -> str:
        """The name of the recipe, with the profile."""
        return make_label(self.path, self.profile)

    def with_change(self, key: str, value: Any) -> Draft:
        """Return the draft with one more change, which replaces a change of the same key."""
        return replace(self, changes={**self.without_change(key).changes, key: value})

    def without_change(self, key: str) -> Draft:
        """Return the draft without a change of this key."""
        return replace(self, changes={other: value for other, value in self.changes.items() if other != key})

    def describe_unsaved(self, saved: Draft) -> str:
        """Describe the changes since another draft; the options and the target of a run are no part of a recipe."""
        if (self.path, self.profile, self.changes) == (saved.path, saved.profile, saved.changes):
            return ""
        count = len(self.changes)
        return f"{count} change{' is' if count == 1 else 's are'} not saved." if count else "Changes are not saved."

    def load_search(self) -> Search:
        """Load what the draft searches as a sweep.

        Raises:
            RecipeError: The recipe or the search is not valid.
        """
        return load_search(self.path, self.profile, self.overrides, arm=self.options.arm)

    def command(self) -> str:
        """Return the equivalent command line. A run does not read the table [sweep]."""
        verb = "sweep" if self.options.sweep else "run"
        words = ["ftapp", verb, self.name, *(["--profile", self.profile] if self.profile else [])]
        changes = {key: value for key, value in self.changes.items() if not _is_of_sweep(key)}
        sets = (word for each in changes.items() for word in ("--set", format_override(*each)))
        search = self._write_search() if self.options.sweep else []
        where = ["--on", self.on] if self.on else []
        return shlex.join([*words, *sets, *search, *self.options.words, *where])

    def _write_search(self) -> Iterator[str]:
        """Write the changes of the table [sweep] as options of the command line."""
        for key, value in self.changes.items():
            if key.startswith(OVER):
                yield from ("--over", format_override(key.removeprefix(OVER).strip('"'), value))
            elif value is not None and _is_of_sweep(key):
                yield from (f"--{key.removeprefix(SWEEP)}", str(value))

    def parse_target(self) -> LaunchTarget | None:
        """Parse where the run goes; None where that was not chosen.

        Raises:
            RecipeError: It is no target, or the user's settings are wrong.
            RunError: The user has no home folder.
        """
        return parse_target(self.on, load_settings().launch.targets) if self.on else None

    def check(self) -> None:
        """Check the recipe and its data. Reading the data takes seconds.

        Raises:
            RecipeError: The recipe is not valid, its backend is not installed, or its data cannot be used.
        """
        loaded = self.load_experiment()
        recipes = [self.load_search().base] if self.options.sweep else loaded.arms.values() or [loaded.base]
        from ftapp.data import preflight  # here, since NumPy takes a quarter of a second to import

        preflight.check(recipes)

    def start(self, runs_dir: Path, *, offline: bool) -> RunFolder | Experiment:
        """Start the run, the experiment where there are arms, folds or repeats, or the sweep, at its target.

        Args:
            runs_dir: The folder of runs.
            offline: Whether the run makes no network call.

        Returns:
            The run or the experiment, which outlives this process.

        Raises:
            RecipeError: The recipe is not valid, its backend is not installed, or its target cannot be reached.
            RunError: The target has refused the run.
            OSError: The folder cannot be made.
        """
        target = choose_target(self.on)
        job = self.prepare(runs_dir, target.text, offline=offline)
        if isinstance(job, Experiment):
            LocalLauncher().start(job, {})
            return job
        job.start(make_launcher(target))
        return job.run

    def prepare(self, runs_dir: Path, on: str, *, offline: bool) -> RunStart | Experiment:
        """Make the folder of the run, the experiment or the sweep without starting it. Raises as `start`.

        Args:
            runs_dir: The folder of runs.
            on: The target of an experiment's runs.
            offline: Whether the run makes no network call.
        """
        command = shlex.split(self.command())
        return prepare_job(
            self.path, self.profile, self.overrides, self.options, runs_dir, command=command, offline=offline, on=on
        )

    def save(self, file: Path, *, replace: bool = False) -> None:
        """Write the draft as a recipe with all keys.

        Args:
            file: The new file.
            replace: Whether to replace an existing file.

        Raises:
            RecipeError: The draft is not valid.
            FileExistsError: The file exists and is not to be replaced.
            OSError: The file cannot be written.
        """
        text = self.load_experiment().to_toml()
        with file.open("w" if replace else "x", encoding="utf-8") as target:
            target.write(text)


def _is_of_sweep(key: str) -> bool:
    return key.startswith(SWEEP)
