"""The run of an arm in a round of an experiment, made from the experiment's folder."""

from __future__ import annotations

from typing import Any

from ftapp.experiments.arms import Round, make_slug
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe import Recipe
from ftapp.recipe.value_types import MOST_SEEDS
from ftapp.runs import annotation, run_creation
from ftapp.runs.environment import make_environment
from ftapp.runs.starting import RunStart

_RECORDED = ("command", "hubless_profiles", "jobs")
_HOW = ("offline", "verify_cache")


def choose_seed(recipe: Recipe, of: Round) -> int:
    """Choose the seed of a run: each repeat has its own, which all of its arms and folds share.

    Args:
        recipe: The recipe of the run's arm, with the seed of the experiment.
        of: The run's round.
    """
    return (recipe.seed + of.repeat - 1) % MOST_SEEDS


def make_member(experiment: Experiment, arm: str, of: Round, recipe: Recipe, **more: Any) -> RunStart:
    """Make the folder of a run of an experiment, and write down that the run belongs to it.

    Args:
        experiment: The experiment.
        arm: The name of the run's arm.
        of: Its round.
        recipe: The recipe of the arm, with the seed and the fold of the experiment.
        more: What else the experiment writes down of the run.

    Returns:
        The run, ready to start.

    Raises:
        OSError: The folder cannot be written.
    """
    facts = experiment.facts
    chosen: dict[str, Any] = {"seed": choose_seed(recipe, of)}
    if of.fold:
        chosen["data"] = recipe.data.model_copy(update={"fold": of.fold})
    resolved = recipe.model_copy(update=chosen)
    own = [] if arm == facts["recipe"] and of.fold else [make_slug(arm)]
    name = "-".join([facts["recipe"], *own, *([f"fold-{of.fold}"] if of.fold else [])])
    run = run_creation.create(
        resolved,
        name,
        facts["profile"],
        experiment.folder.parent.parent,
        **{key: facts[key] for key in _RECORDED},
        **{"owner": facts.get("owner", ""), "experiment": experiment.folder.name},
        **{"arm": arm, "repeat": of.repeat, "fold": of.fold or None},
    )
    annotation.store(run.folder, annotation.load(experiment.folder))
    experiment.add(arm, of, run, **more)
    environment = make_environment(resolved.backend, **{key: facts[key] for key in _HOW})
    return RunStart(run, name, resolved, environment)
