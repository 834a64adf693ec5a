"""The plan of a recipe: its model and data are loaded, and a few steps of each phase timed.

The trained weights and computed features are not kept.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ftapp.common.downloads import Progress
from ftapp.common.quick_imports import quick_imports
from ftapp.recipe import Recipe

if TYPE_CHECKING:
    from ftapp.data import DocumentSplits, Splits
    from ftapp.training.session import PhaseSession
    from ftapp.training.setup import Setup


def plan(recipe: Recipe, progress: Progress) -> dict[str, Any]:
    """Plan what a run is going to do and cost.

    Args:
        recipe: The recipe.
        progress: Called with what is being done and how far it is.

    Returns:
        `devices`, `precision`, `reason`, numbers of `examples`, and a table for each of `phases`. `classes`, `counts`
        and `data_notes` are as in `ftapp.data.dataset.EncodedSplits`; `warnings` are the cautions of
        `ftapp.recipe.cautions`. `reading` has the `seconds` in which the data were read and the bytes of `memory` that
        this took; None for data that are read beside Keras. In `check_seconds` of them `checked` new images were
        checked, which a run does not do again. `free` bytes are on the disk of cached features.

    Raises:
        RecipeError: The recipe does not fit its model or data.
        RunError: The model or the data could not be loaded.
    """
    found, reading = _read(recipe, progress)
    with quick_imports():
        from ftapp.freezing import feature_cache
        from ftapp.recipe import cautions
        from ftapp.training.setup import choose_device, set_up

    device = choose_device(recipe.precision, recipe.devices)
    setup = set_up(recipe, device, found, progress)
    plans, splits = setup.plans, setup.splits
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    phases: list[dict[str, Any]] = []
    for index in range(len(plans)):
        phases.append(_plan_phase(setup, index, sum(each["steps"] for each in phases)))
    return {
        "devices": recipe.devices,
        "precision": device.precision,
        "reason": device.reason,
        "examples": sizes,
        "reading": reading if found else None,
        "free": feature_cache.measure_free(),
        "classes": list(splits.classes),
        "counts": splits.counts,
        "data_notes": list(splits.notes),
        "phases": phases,
        "warnings": [caution.to_table() for caution in cautions.find_cautions(recipe, sizes, plans[0].descriptions)],
    }


def _read(recipe: Recipe, progress: Progress) -> tuple[Splits | DocumentSplits | None, dict[str, float]]:
    """Read the data, where they are read before Keras, and measure the seconds and the bytes of memory for it."""
    import psutil

    from ftapp import data
    from ftapp.data.image_check import time_checks

    process = psutil.Process()
    begun, before = time.perf_counter(), process.memory_info().rss
    with time_checks() as checks:
        found = data.read_early(recipe, progress)
    seconds, memory = time.perf_counter() - begun, max(0, process.memory_info().rss - before)
    return found, {"seconds": seconds, "memory": memory, "checked": checks.images, "check_seconds": checks.seconds}


def _plan_phase(setup: Setup, index: int, begin: int) -> dict[str, Any]:
    """Plan a phase. begin: the steps of the run before it."""
    from ftapp.training.session import PhaseSession

    recipe, plan = setup.recipe, setup.plans[index]
    with PhaseSession(recipe, index, setup.model, plan, setup.splits, calls=setup.calls) as session:
        estimate, choice = session.estimate(), session.choice
        seconds, int8_saves = _probe(session, begin)
    phase = session.phase
    return {
        "name": phase.name,
        "steps": session.steps,
        "epochs": session.steps / session.per_epoch,
        "may_end_early": recipe.stop is not None,
        "parameters": plan.parameters,
        "trainable": plan.trainable_parameters,
        "trainable_share": plan.trainable_share,
        "adapters": plan.adapter_parameters,
        "cache": msgspec.to_builtins(choice),
        "int8_saves": int8_saves,
        "estimate": (msgspec.structs.asdict(estimate) if estimate else {}) | seconds,
        "layers": [
            {
                "path": decision.path,
                "parameters": decision.parameters,
                "trainable": decision.trainable,
                "trained": decision.trainable_parameters,
                "rule": decision.rule and str(decision.rule),
            }
            for decision in plan.decisions
        ],
    }


def _probe(session: PhaseSession, begin: int) -> tuple[dict[str, float], float | None]:
    """Time a few calls of a phase.

    Args:
        session: The phase.
        begin: The steps of the run before it.

    Returns:
        (The seconds of its features, its steps and its evaluations; those that int8 would save, if they are worth it).
    """
    from ftapp.data.dataset import BatchKey
    from ftapp.training.feature_choice import count_views
    from ftapp.training.head_statistics import count_statistics
    from ftapp.training.int8_proposal import estimate_int8_saving
    from ftapp.training.probe import pick_typical_batch, time_evaluation, time_step

    recipe, phase, train = session.recipe, session.phase, session.splits.train
    batch = pick_typical_batch(train, phase.batch_size, recipe.seed)
    measured = session.evaluation_order(recipe.evaluate.split, recipe.evaluate.examples)
    features, int8_saves = 0.0, None
    if session.cached:
        everything = np.arange(len(train))
        draws = [
            BatchKey(recipe.seed, 0, view, 0) for view in range(max(1, count_views(recipe, phase, session.splits)))
        ]
        missing = sum(session.cached["train"].count_missing(everything, draw) for draw in draws)
        missing += session.cached[recipe.evaluate.split].count_missing(np.concatenate(measured), None)
        if missing:
            example = session.cached["train"].time_example(batch, draws[0])
            features, int8_saves = missing * example, estimate_int8_saving(session, missing, example)
    step = time_step(session, batch)
    middle = measured[len(measured) // 2]
    evaluation = time_evaluation(session, recipe.evaluate.split, middle) * len(measured)
    evaluations = (begin == 0) + session.count_evaluations(begin)
    statistics = 0
    if recipe.model.normalize and session.index == 0:
        statistics = count_statistics(phase, len(train), is_known=session.is_known)
    normalization = evaluation * statistics / sum(map(len, measured))
    seconds = {
        "features_seconds": features,
        "step_seconds": step,
        "evaluation_seconds": evaluation,
        "evaluations": evaluations,
        "seconds": features + normalization + session.steps * step + evaluations * evaluation,
    }
    return seconds, int8_saves
