"""The process behind `ftapp plan`: loads a recipe's model and data, probes each phase, and prints the plan as JSON.

It takes the recipe's TOML file as its argument. What the probe trains and computes is not kept.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ftapp import recipe as recipes
from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import Phase, Recipe

if TYPE_CHECKING:
    from ftapp.freezing.layer_plan import LayerPlan


def main(file: Path) -> int:
    """Print the plan of the recipe in `file`, and return the exit code.

    Each line of stdout is a JSON object with one key: `progress`, in words; at the end `plan`, or `error` with what
    is wrong with the recipe (exit code 2) or cannot be had (1).
    """
    try:
        _print("plan", plan(recipes.load(file)))
    except RecipeError as error:
        _print("error", str(error))
        return 2
    except RunError as error:
        _print("error", str(error))
        return 1
    return 0


def _print(key: str, value: Any) -> None:
    print(json.dumps({key: value}), flush=True)


def plan(recipe: Recipe) -> dict[str, Any]:
    """What the run is going to do and cost: `precision`, `reason`, numbers of examples, and a table for each phase.

    `classes`, `counts` and `data_notes` are as in `ftapp.data.dataset.EncodedSplits`; `warnings` are the cautions of
    `ftapp.recipe.cautions`.

    Raises RecipeError when the recipe does not fit its model or data, RunError when these cannot be had.
    """
    from ftapp import data

    def told(activity: str, done: int, total: int | None) -> None:
        _print("progress", f"{activity}{f' {done}/{total}' if total else ''}")

    found = data.read_early(recipe, told)
    from ftapp.data.encoded import load_encoded
    from ftapp.models import backend, build
    from ftapp.recipe import cautions
    from ftapp.training.job import build_model

    backend.device()
    precision, reason = backend.choose_precision(recipe.precision)
    pretrained = build.load_pretrained(recipe, told)
    splits = load_encoded(recipe, pretrained.preprocessor, told, found)
    model, plans = build_model(recipe, pretrained, splits)
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    phases = [_phase(recipe, phase, model, plan, splits) for phase, plan in zip(recipe.phase, plans, strict=True)]
    return {
        "precision": precision,
        "reason": reason,
        "examples": sizes,
        "classes": list(splits.classes),
        "counts": splits.counts,
        "data_notes": list(splits.notes),
        "phases": phases,
        "warnings": [caution.table() for caution in cautions.of_recipe(recipe, sizes, plans[0].descriptions)],
    }


def _phase(recipe: Recipe, phase: Phase, model: Any, plan: LayerPlan, splits: Any) -> dict[str, Any]:
    from ftapp.freezing import freeze
    from ftapp.training import cost_estimate as costs
    from ftapp.training.phases import compiled
    from ftapp.training.session import epochs, staged

    freeze.apply(model, plan)
    steps, per_epoch = epochs(phase, len(splits.train))
    with staged(recipe, phase, model, plan, splits) as stage:
        calls = costs.calls_of(recipe, model)
        estimate = costs.estimate(phase, calls, plan, stage.below, cached=stage.choice.cached)
        compiled(recipe, phase, stage.model, plan)
        seconds = _probe(recipe, phase, stage, splits)
    return {
        "name": phase.name,
        "steps": steps,
        "epochs": steps / per_epoch,
        "parameters": plan.parameters,
        "trainable": plan.trainable_parameters,
        "trainable_share": plan.trainable_share,
        "cache": msgspec.structs.asdict(stage.choice),
        "estimate": (msgspec.structs.asdict(estimate) if estimate else {}) | seconds,
        "layers": [
            {
                "path": decision.path,
                "parameters": decision.parameters,
                "trainable": decision.trainable,
                "rule": decision.rule and str(decision.rule),
            }
            for decision in plan.decisions
        ],
    }


def _probe(recipe: Recipe, phase: Phase, stage: Any, splits: Any) -> dict[str, float]:
    """Seconds of the phase by timing a few calls: for features still to be computed, for steps, for evaluations."""
    from ftapp.data.dataset import BatchKey
    from ftapp.data.order import epoch_order, evaluation_order
    from ftapp.training.instrumented_model import values
    from ftapp.training.session import epochs, statistics_examples, views_of

    train, held_out = splits.train, getattr(splits, recipe.evaluate.split)
    steps, per_epoch = epochs(phase, len(train))
    order = epoch_order(len(train), phase.batch_size, (recipe.seed, 0, 0), train.lengths)
    lengths = [train.width(indices) or 0 for indices in order]
    batch = order[int(np.argsort(lengths)[len(lengths) // 2])]
    measured = evaluation_order(
        len(held_out), recipe.evaluate.batch_size, recipe.evaluate.examples, recipe.seed, held_out.lengths
    )
    features = 0.0
    if stage.features:
        everything = np.arange(len(train))
        draws = [BatchKey(recipe.seed, 0, view, 0) for view in range(max(1, views_of(recipe, phase, splits)))]
        missing = sum(stage.features["train"].count_missing(everything, draw) for draw in draws)
        missing += stage.features[recipe.evaluate.split].count_missing(np.concatenate(measured), None)
        features = missing and missing * stage.features["train"].time_example(batch, draws[0])

    def inputs(split: str, indices: NDArray[np.int64]) -> Any:
        return stage.features[split].zeros(indices) if stage.features else stage.data[split].inputs(indices, None)

    x, y = inputs("train", batch), train.targets(batch)
    step = median(lambda: values(stage.model.train_on_batch(x, y, return_dict=True)))
    middle = measured[len(measured) // 2]
    held, wanted = inputs(recipe.evaluate.split, middle), held_out.targets(middle)
    evaluation = median(lambda: values(stage.model.test_on_batch(held, wanted, return_dict=True))) * len(measured)
    evaluations = 1 + steps // (recipe.evaluate.every or per_epoch)
    statistics_of = 0
    if recipe.model.normalize and phase.name == recipe.phase[0].name:
        statistics_of = statistics_examples(phase, len(train), is_known=stage.is_known)
    normalization = evaluation * statistics_of / sum(map(len, measured))
    return {
        "features_seconds": features,
        "step_seconds": step,
        "evaluation_seconds": evaluation,
        "seconds": features + normalization + steps * step + evaluations * evaluation,
    }


def median(call: Callable[[], Any], warm_up: int = 2, timed: int = 3) -> float:
    """Seconds of a call, the median of `timed` ones after `warm_up` others."""
    times: Sequence[float] = [_seconds(call) for _ in range(warm_up + timed)]
    return statistics.median(times[warm_up:])


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
