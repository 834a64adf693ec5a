"""The result of a sweep: its trials, what they show, and whether the best beats the recipe, as JSON and as a page."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ftapp.analysis import sweep_verdict
from ftapp.analysis.records import Arm, read_experiment
from ftapp.analysis.sweep_verdict import METHOD, Finalist
from ftapp.common.durable import replace_file
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.formatting import format_duration, format_flops, format_quantity
from ftapp.common.safe_files import is_file
from ftapp.experiments.experiment_folder import Experiment
from ftapp.experiments.sweep.search import Search, check_optuna
from ftapp.experiments.sweep.trials import (
    OWN,
    SEARCH,
    SweepTrial,
    find_frontier,
    is_of_search,
    measure_validation,
    rank_trials,
    read_trials,
    shorten_keys,
)
from ftapp.recipe.metrics import Metric
from ftapp.report import comparison, page, svg
from ftapp.report.parallel_coordinates import KeyAxis, draw_parallel
from ftapp.report.svg import Line

_SHOWN = 30  # trials in the table of the page; result.json has all


def write_sweep(experiment: Experiment) -> tuple[list[Arm], dict[str, Any]]:
    """Write `report.html` and `result.json` of a sweep, and return the finalists as arms and the result.

    Args:
        experiment: The sweep, whose runs have ended.

    Raises:
        OSError: The folder cannot be written.
        RecipeError: The recipe in the folder is not valid.
    """
    search, facts = Search.of(experiment), experiment.facts
    trials = read_trials(experiment, search.metric.name)
    finalists = _compare_finals(experiment, search.metric)
    winner = sweep_verdict.choose_winner(finalists, search.metric)
    chosen = next((trial for trial in trials if winner and trial.arm == winner.arm), None)
    importances = _measure_importances(experiment, search)
    conclusions: dict[str, Any] = {
        "status": facts["sweep"].get("status"),
        "metric": search.metric.name,
        "over": {key: str(space) for key, space in search.spaces.items()},
        "searched": facts["sweep"]["searched"],
        "winner": winner.arm if winner else None,
        "changes": chosen.changes if chosen else [],
        "sentences": list_sentences(experiment, search, trials, finalists),
        "finalists": [sweep_verdict.build_table(each, search.metric) for each in finalists],
        "importances": importances,
        "cost": _name_cost(trials, facts["jobs"]),
        "frontier": [trial.arm for trial in _list_frontier(trials, search.metric, facts["jobs"])],
        "trials": [_build_row(trial) for trial in trials],
    }
    arms = read_experiment(experiment) if len(facts["arms"]) > 1 else []
    result = {name: facts.get(name) for name in ("recipe", "profile", "repeats", "jobs")}
    result |= {"experiment": str(experiment.folder), "report": str(experiment.report_file), "sweep": conclusions}
    title = f"Sweep: {search.base.title}"
    body = _build_body(title, search, trials, conclusions, facts["jobs"], arms)
    replace_file(experiment.report_file, page.build_page(title, body).encode())
    replace_file(experiment.result_file, json.dumps(result, indent=2).encode() + b"\n")
    return arms, result


def list_sentences(
    experiment: Experiment, search: Search, trials: Sequence[SweepTrial], finalists: Sequence[Finalist]
) -> list[str]:
    """Say what the sweep shows, and no more.

    Args:
        experiment: The sweep.
        search: What it searches.
        trials: All trials.
        finalists: The finalists, compared.
    """
    metric, facts = search.metric, experiment.facts["sweep"]
    searched = _describe_search(trials, metric, facts["searched"])
    if (status := facts.get("status", "crashed")) == "failed":  # it would fail again
        return searched
    if status != "done":
        going_on = f"'ftapp sweep --resume {experiment.folder.name}' goes on"
        return [f"The sweep is {status}, so the best trials are not compared; {going_on}.", *searched]
    winner = sweep_verdict.choose_winner(finalists, metric)
    sentences = ["No setting can be told to be better than the recipe's own values."] if winner is None else []
    sentences += [each.describe(metric) for each in sorted(finalists, key=lambda each: each is not winner)]
    return [*sentences, *searched]


def _describe_search(trials: Sequence[SweepTrial], metric: Metric, seconds: float) -> list[str]:
    """Say what the search has found, which proves nothing yet."""
    ranked = rank_trials(trials, metric)
    kinds = Counter(trial.status for trial in trials)
    others = ", ".join(f"{count} {name}" for name, count in kinds.items() if name != "done")
    count = f"{format_quantity(len(trials), 'trial')} in {format_duration(seconds)}"
    sentences = [f"{count}{f', of which {others}' if others else ''}."]
    if not ranked:
        reasons = [f": {trial.arm}: {trial.why}" for trial in trials if trial.why]
        return [*sentences, f"No trial has a result{reasons[0] if reasons else ''}."]
    name, best = f"validation {metric.label}", ranked[0]
    own = next((trial for trial in trials if trial.arm == OWN), best)
    if best.arm == OWN:
        return [*sentences, f"No trial has a better {name} than the recipe's own values, {_tell(best, metric)}."]
    own_result = f"the recipe's own values: {_tell(own, metric)}"
    return [*sentences, f"The best {name} of the search is that of {best.arm}, {_tell(best, metric)}; {own_result}."]


def _tell(trial: SweepTrial, metric: Metric) -> str:
    """The metric of a trial, or why it has none."""
    if trial.value is not None:
        return metric.format_text(trial.value)
    return f"{trial.status} ({trial.why})" if trial.why else trial.status


def _compare_finals(experiment: Experiment, metric: Metric) -> list[Finalist]:
    """Compare the finalists with the recipe's own values by the metric of their runs, seed by seed."""
    arms = experiment.facts["arms"]
    values: dict[str, dict[int, float]] = {arm: {} for arm in arms} if len(arms) > 1 else {}
    examples = []
    for member in experiment.list_members():
        if member.round != SEARCH and member.arm in values:
            history = member.run.history()
            value = measure_validation(history, metric.name)
            if value is not None and member.run.status(history) == "done":
                values[member.arm][member.round.repeat] = value
                examples += [each.examples for each in history.evaluations if is_of_search(each)]
    return sweep_verdict.compare_finalists(values, OWN, metric, min(examples, default=0))


def _measure_importances(experiment: Experiment, search: Search) -> dict[str, float]:
    """Measure the importance of each key; none where the study cannot be read, or Optuna is not installed."""
    file = experiment.folder / "study.db"
    if not is_file(file):
        return {}
    try:
        check_optuna()
        from ftapp.search.study import SweepStudy, explain_faults  # here, since a page can be made without Optuna

        study = SweepStudy(file, search.spaces, search.metric, search.base.seed, search.sweep.trials, prunes=False)
        with explain_faults(file):
            return study.measure_importances()
    except (RecipeError, RunError):
        return {}


def _build_row(trial: SweepTrial) -> dict[str, Any]:
    """Lay out a trial as JSON has it."""
    return {
        "arm": trial.arm,
        "values": dict(trial.values),
        "run": trial.run.folder.name,
        "status": trial.status,
        "value": trial.value,
        "seconds": trial.seconds,
        "flops": trial.flops,
        "why": trial.why,
    }


def _name_cost(trials: Sequence[SweepTrial], jobs: int) -> str:
    """Choose what trials cost: seconds, or operations where several ran at once and took turns at the machine."""
    return "flops" if jobs > 1 and all(each.flops for each in trials if each.value is not None) else "seconds"


def _measure_cost(trial: SweepTrial, cost: str) -> float | None:
    return trial.flops if cost == "flops" else trial.seconds


def _list_points(trials: Sequence[SweepTrial], cost: str) -> list[tuple[SweepTrial, float, float]]:
    """List the trials that have a cost and a result."""
    return [
        (trial, spent, trial.value)
        for trial in trials
        if trial.value is not None and (spent := _measure_cost(trial, cost)) is not None
    ]


def _list_frontier(trials: Sequence[SweepTrial], metric: Metric, jobs: int) -> list[SweepTrial]:
    found = _list_points(trials, _name_cost(trials, jobs))
    return [found[index][0] for index in find_frontier([(spent, value) for _, spent, value in found], metric)]


def _build_body(
    title: str,
    search: Search,
    trials: Sequence[SweepTrial],
    conclusions: dict[str, Any],
    jobs: int,
    arms: Sequence[Arm],
) -> list[str]:
    """Build the page, section by section."""
    metric = search.metric
    parts = [
        f"<header><h1>{escape(title)}</h1></header>",
        page.build_list("verdicts", conclusions["sentences"]),
    ]
    if conclusions["changes"]:
        words = " ".join(f"--set {shlex.quote(change)}" for change in conclusions["changes"])
        parts += [page.build_heading("The winner's values"), page.build_code(words, wrap=True)]
    parts.append(page.build_grid(_draw_figures(search, trials, conclusions, jobs)))
    header = ["trial", *search.spaces, f"validation {metric.label}", "seconds", "status"]
    ranked = rank_trials(trials, metric)
    shown = [*ranked, *(trial for trial in trials if trial not in ranked)][:_SHOWN]
    rows = [
        [
            trial.arm,
            *(_format_value(trial.values.get(key)) for key in search.spaces),
            "" if trial.value is None else metric.format_text(trial.value),
            "" if trial.seconds is None else f"{trial.seconds:.1f}",
            trial.status,
        ]
        for trial in shown
    ]
    more = f"; the first {_SHOWN} of {len(trials)}" if len(trials) > _SHOWN else ""
    parts += [page.build_heading(f"Trials, the best first{more}"), page.build_table(header, rows)]
    parts.append(f'<p class="soft">{escape(METHOD)}</p>')
    if arms:
        parts += comparison.build_body(arms, "The finalists over new seeds")
    return parts


def _format_value(value: Any) -> str:
    return comparison.format_setting(value) or "[]"  # an empty list has no items to show


def _draw_figures(search: Search, trials: Sequence[SweepTrial], conclusions: dict[str, Any], jobs: int) -> list[str]:
    """Draw the importances, the trials over the values of each key, and the frontier."""
    metric, drawn = search.metric, []
    if conclusions["importances"]:
        rows = [(key, [share]) for key, share in conclusions["importances"].items()]
        caption = (
            "The share of the metric's variance over the trials that each key explains by itself (functional analysis "
            "of variance, Hutter et al. 2014). It is of these trials and their spaces, and has no interval."
        )
        bars = svg.draw_bars(rows, ["share"], lambda share: f"{share:.0%}")
        drawn.append(page.build_figure("Importance of the keys", bars, caption))
    ranked = rank_trials(trials, metric)
    if ranked:
        short = shorten_keys(list(search.spaces))
        axes = [KeyAxis.of_space(short[key], space) for key, space in search.spaces.items()]
        values = [each.value or 0.0 for each in ranked]
        axes.append(KeyAxis.of_numbers(metric.label, values, metric.format_cell))
        lines = [
            (
                each.arm,
                [*(space.place(each.values.get(key)) for key, space in search.spaces.items()), axes[-1].place(value)],
            )
            for each, value in zip(ranked, values, strict=True)
        ]
        caption = "A line is a trial, the stronger the better. Points touch the axes where the trial's values lie."
        drawn.append(page.build_figure("Trials over their values", draw_parallel(axes, lines), caption))
    points = _list_points(trials, conclusions["cost"])
    if len(points) > 1:
        best = [each for each in points if each[0].arm in conclusions["frontier"]]
        best.sort(key=lambda each: each[1])
        lines_of = [Line(trial.arm, np.array([spent]), np.array([value]), 1) for trial, spent, value in points]
        front = Line("frontier", np.array([each[1] for each in best]), np.array([each[2] for each in best]), 0, "marks")
        label = (
            "operations of all steps"
            if conclusions["cost"] == "flops"
            else "seconds of features, steps and evaluations"
        )
        cheapest, dearest = (
            _format_cost(spent, conclusions["cost"]) for spent in (min(p[1] for p in points), max(p[1] for p in points))
        )
        caption = f"No trial is both cheaper and better than one on the line. Costs are from {cheapest} to {dearest}."
        plot = svg.draw_lines([*lines_of, front], label)
        legend = [("trials", 1), ("frontier", 0)]
        drawn.append(page.build_figure(f"Cost and validation {metric.label}", plot, caption, legend))
    return drawn


def _format_cost(spent: float, cost: str) -> str:
    return format_flops(spent) if cost == "flops" else format_duration(spent)
