"""Runs that are ready to start: new ones, and ones that go on. Commands, the interface and scripts start them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.common.durable import replace_file
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.recipe import Recipe
from ftapp.runs import run_creation
from ftapp.runs.annotation import NOTHING, Annotations, store
from ftapp.runs.environment import check_installed, make_environment
from ftapp.runs.launcher import Launcher, do_nothing
from ftapp.runs.resuming import check_resumable, lengthen_last_phase, make_resume_environment
from ftapp.runs.run_folder import RunFolder


@dataclass(frozen=True)
class RunStart:
    """A run whose folder is complete, and what its process is given.

    Attributes:
        run: The run's folder.
        name: The name of its recipe.
        recipe: Its recipe.
        environment: Variables that the process gets.
        prepare: Changes the run's files once no process works on the run.
    """

    run: RunFolder
    name: str
    recipe: Recipe
    environment: Mapping[str, str]
    prepare: Callable[[], None] = do_nothing

    def start(self, launcher: Launcher) -> None:
        """Start the run's process.

        Raises:
            OSError: The process cannot be started, or the folder cannot be written.
            RunError: A process works on the run already.
        """
        launcher.start(self.run, self.environment, self.prepare)


def make_run(
    recipe: Recipe,
    name: str,
    folder: Path,
    *,
    command: Sequence[str],
    profile: str | None = None,
    hubless_profiles: Sequence[str] = (),
    annotations: Annotations = NOTHING,
    offline: bool = False,
    verify_cache: bool = False,
    max_seconds: float | None = None,
) -> RunStart:
    """Make the folder of a new run.

    Args:
        recipe: The resolved recipe.
        name: The name of the recipe, which becomes a part of the folder's name.
        folder: The folder of all runs.
        command: The command line that makes the run, for its record.
        profile: The profile that is applied in the recipe, for its record.
        hubless_profiles: The recipe's profiles that need no hub, which a message names if the hub cannot be reached.
        annotations: Its tags and its note.
        offline: Whether the process makes no network call.
        verify_cache: Whether the process recomputes some cached features.
        max_seconds: After how many seconds the process ends the run; None where it goes on to its end.

    Returns:
        The run, ready to start.

    Raises:
        OSError: The folder cannot be written.
    """
    facts = {"command": list(command), "hubless_profiles": list(hubless_profiles)}
    run = run_creation.create(recipe, name, profile, folder, **facts)
    store(run.folder, annotations)
    environment = make_environment(recipe.backend, offline=offline, verify_cache=verify_cache, max_seconds=max_seconds)
    return RunStart(run, name, recipe, environment)


def prepare_resume(
    run: RunFolder,
    *,
    steps: int = 0,
    epochs: int = 0,
    anyway: bool = False,
    offline: bool = False,
    max_seconds: float | None = None,
) -> RunStart:
    """Check that a run can go on, and prepare it.

    Args:
        run: The run.
        steps: By how many steps the last phase becomes longer.
        epochs: By how many epochs it becomes longer.
        anyway: Whether the run may go on inexactly.
        offline: Whether the process makes no network call.
        max_seconds: After how many seconds the process ends the run; None where it goes on to its end.

    Returns:
        The run, ready to start.

    Raises:
        RecipeError: The recipe cannot be read, or a package that it needs is not installed.
        RunError: The run goes on already, has nothing left to do, or would not go on exactly.
    """
    if steps and epochs:
        raise RunError(f"steps and epochs both say how much longer the run is; got {steps} and {epochs}")
    if min(steps, epochs) < 0:
        raise RunError(f"a run becomes longer by 1 or more, not by {min(steps, epochs)}")
    recipe = recipes.load(run.recipe_file)
    check_installed(recipe)
    if run.alive():
        raise RunError(f"{run.folder.name} goes on already, in another process")
    history, longer = run.history(), None
    if steps or epochs:
        check_fetched(run)
        longer = lengthen_last_phase(recipe, history, steps=steps, epochs=epochs)
    elif run.status(history) == "done":
        end = f"the run has reached its end, after {format_quantity(len(history.steps), 'step')}"
        raise RunError(f"{end}; a number of further steps or epochs makes it longer, such as --steps 100")
    check_resumable(run, anyway=anyway)
    return make_resume(run, longer=longer, anyway=anyway, offline=offline, max_seconds=max_seconds)


def check_fetched(run: RunFolder) -> None:
    """Check that a run whose recipe is to change does not go on in a cluster from where its files were last fetched.

    Raises:
        RunError: It may.
    """
    if target := _find_cluster(run):
        raise RunError(
            f"{run.folder.name} may go on in the cluster at {target}, with its former length, and its "
            f"files were not fetched to its end; 'ftapp resume {run.folder.name}' fetches them, and a number of "
            "further steps or epochs makes it longer afterwards"
        )


def explain_fetched(run: RunFolder, *, anyway: bool = False, max_seconds: float | None = None) -> list[str]:
    """Explain that what is given for the process of a run that goes on does not reach one that lives in a cluster.

    Args:
        run: The run.
        anyway: Whether it may go on inexactly.
        max_seconds: After how many seconds its process ends it; None where it goes on to its end.

    Returns:
        A sentence; none where all of it counts.
    """
    given = [name for name, is_given in (("--max-time", max_seconds is not None), ("--anyway", anyway)) if is_given]
    if given and (target := _find_cluster(run)):
        return [f"if the run goes on in the cluster at {target}, it is only fetched, as without {' and '.join(given)}"]
    return []


def _find_cluster(run: RunFolder) -> str | None:
    """Find the target at which a run may go on from where its files were last fetched; None where there is none."""
    entry = run.leases.find_newest()
    return entry.lease.target if entry and entry.lease.is_fetched and entry.lease.state != "ended" else None


def make_resume(
    run: RunFolder,
    *,
    longer: Recipe | None = None,
    anyway: bool = False,
    offline: bool = False,
    verify_cache: bool = False,
    max_seconds: float | None = None,
) -> RunStart:
    """Prepare a run to go on, unchecked: `prepare_resume` checks first.

    Args:
        run: The run, whose process has ended.
        longer: Its recipe with a longer last phase (`resuming.lengthen_last_phase`), which becomes the run's recipe
            when it starts; None where the recipe stays.
        anyway: Whether the run may go on inexactly.
        offline: Whether the process makes no network call.
        verify_cache: Whether the process recomputes some cached features.
        max_seconds: After how many seconds the process ends the run; None where it goes on to its end.

    Returns:
        The run, ready to start.

    Raises:
        RecipeError: The recipe of the run cannot be read.
    """
    recipe = longer or recipes.load(run.recipe_file)
    environment = make_environment(recipe.backend, offline=offline, verify_cache=verify_cache, max_seconds=max_seconds)
    environment |= make_resume_environment(run, anyway=anyway)

    def prepare() -> None:
        run.leases.fence()
        if longer:
            replace_file(run.recipe_file, longer.to_toml().encode())

    name = str(run.environment().get("recipe") or run.folder.name)
    return RunStart(run, name, recipe, environment, prepare)
