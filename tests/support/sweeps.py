"""Sweeps as processes leave them, made of recorded runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftapp import recipe
from ftapp.experiments.arms import Round
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.prepare import prepare_sweep
from ftapp.experiments.sweep.search import load_search
from ftapp.experiments.sweep.trials import OWN, SEARCH
from ftapp.runs.event_types import Status
from tests.support.recorded_runs import record_run

RATE, RULES = "phase.finetune.learning_rate", "phase.finetune.layers"
SEARCHED: list[tuple[float, list[str], float | None, Status, float]] = [
    (2e-5, ["train all"], 0.70, "done", 0.2),
    (1e-4, ["train all"], 0.80, "done", 0.2),
    (3e-4, ["freeze all", "train head"], 0.60, "done", 0.1),
    (1e-3, ["train all"], None, "failed", 0.2),
    (5e-5, ["freeze all", "train head"], 0.75, "done", 0.1),
    (1e-6, ["train all"], None, "pruned", 0.2),
]
"""The rate, the rules, the validation accuracy, the status and the seconds of a step of each trial, the own first."""
FINALS: Mapping[str, Sequence[float]] = {OWN: (0.70, 0.71, 0.69), "trial 1": (0.80, 0.82, 0.78)}
"""The validation accuracy of the finalists over three new seeds."""


def make_sweep(
    runs_dir: Path,
    searched: list[tuple[float, list[str], float | None, Status, float]] = SEARCHED,
    finals: Mapping[str, Sequence[float]] = FINALS,
    status: str | None = "done",
) -> Experiment:
    """Write a sweep and its runs.

    Args:
        runs_dir: The folder of all runs.
        searched: As `SEARCHED`.
        finals: As `FINALS`.
        status: The status of the sweep; None where it has not told its end.
    """
    over = [f"{RATE}=log(1e-6, 1e-3)", f"{RULES}=[['train all'], ['freeze all', 'train head']]"]
    path = recipe.find("bert-full")
    search = load_search(path, None, ["data.validation=0.2"], over, {"repeats": 3})
    sweep = prepare_sweep(search, path, None, runs_dir, command=[])
    values: dict[str, dict[str, Any]] = {}
    for number, (rate, rules, accuracy, ended, seconds) in enumerate(searched):
        arm = f"trial {number}" if number else OWN
        values[arm] = {RATE: rate, RULES: rules}
        run = record_run(runs_dir, validation=accuracy, status=ended, seconds=seconds)
        sweep.add(arm, SEARCH, run, values=values[arm])
    for arm, accuracies in finals.items():
        for repeat, accuracy in enumerate(accuracies, 2):
            run = record_run(runs_dir, validation=accuracy, losses=(3, 2 + accuracy / 10, 2, 1, 1))
            sweep.add(arm, Round(repeat), run, values=values[arm])
    facts = sweep.facts
    facts["sweep"] |= {"planned": len(facts["runs"]), "searched": 90.0}
    if status:
        facts["sweep"]["status"] = status
    sweep.write_facts(facts | {"arms": list(finals) or [OWN]})
    return sweep
