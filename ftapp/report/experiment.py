"""The result of an experiment: its arms compared, as JSON and as a page in its folder."""

from __future__ import annotations

import json
from typing import Any

from ftapp import recipe
from ftapp.analysis import compare, findings, statistics
from ftapp.analysis.fairness import check_fairness
from ftapp.analysis.records import Arm, read_experiment
from ftapp.common.durable import replace_file
from ftapp.experiments.arms import name_control
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe.metrics import Metric, get_metric
from ftapp.report import comparison
from ftapp.runs import result_warnings


def write_result(experiment: Experiment) -> tuple[list[Arm], dict[str, Any]]:
    """Compare the arms, write `report.html` and `result.json`, and return the arms and the result.

    Without a repeat that all arms have there are no arms, and no report. Raises OSError.
    """
    if experiment.is_sweep:
        from ftapp.report.sweep import write_sweep  # here, since other experiments need none of it

        return write_sweep(experiment)
    arms, facts = read_experiment(experiment), experiment.facts
    result: dict[str, Any] = {name: facts.get(name) for name in ("recipe", "profile", "repeats", "jobs")}
    result |= {"experiment": str(experiment.folder), "report": None}
    if arms:
        fair = check_fairness(arms)
        title = arms[0].records[0].title
        notes = [
            _describe_conditions(arms, facts.get("repeats", 1), facts.get("jobs", 1)),
            *(fair.sentences() if len(arms) > 1 else []),
            *_list_warnings(arms),
            *_describe_noise(arms),
        ]
        rows = findings.check_findings(recipe.load_experiment(experiment.recipe_file).findings, arms)
        result |= {"hashes": fair.table(), "notes": notes, **compare.build_table(arms)}
        result["findings"] = [
            row.finding.model_dump(exclude_none=True)
            | {"ours": statistics.build_table(row.found) if row.found else None, "told": row.ours, "holds": row.holds}
            | {"bounds": row.bounds, "note": row.note}
            for row in rows
        ]
        result["report"] = str(comparison.write(arms, experiment.report_file, title, notes, findings.build_table(rows)))
    replace_file(experiment.result_file, json.dumps(result, indent=2).encode() + b"\n")
    return arms, result


def _describe_conditions(arms: list[Arm], repeats: int, jobs: int) -> str:
    """How the arms were run, in a sentence."""
    rounds, folds = len(arms[0].records), arms[0].folds
    times = "once" if rounds == 1 else f"{rounds} times, each time with another seed that all arms shared"
    if folds:
        seeds = f" with each of {repeats} seeds" if repeats > 1 else ""
        some = f"{rounds} of {planned}" if rounds < (planned := folds * repeats) else str(folds)
        times = f"on {some} folds of the data{seeds}, each of which is the test split once"
    lanes = "one after another" if jobs == 1 else f"{jobs} at once"
    turned = f", every other {'fold' if folds else 'repeat'} in the opposite order" if rounds > 1 < len(arms) else ""
    subject = f"Each of {len(arms)} arms" if len(arms) > 1 else "The recipe"
    return f"{subject} was run {times}, in a process of its own, {lanes}{turned}."


def _list_warnings(arms: list[Arm]) -> list[str]:
    """What is wrong with the results of the runs, each with the run's name."""
    return [
        f"{each.name}: warning: {warning}"
        for arm in arms
        for each in arm.records
        for warning in result_warnings.find_warnings(each.history)
    ]


def _describe_noise(arms: list[Arm]) -> list[str]:
    """What the control says of differences that mean nothing, in a sentence; nothing where there is none."""
    control = next((arm for arm in arms if arm.name == name_control(arms[0].name)), None)
    if control is None:
        return []
    found = compare.compare_arms(arms[0], control)
    differences = [
        *([f"{abs(found.loss.estimate):.3g} in loss"] if found.loss else []),
        *(_gap(get_metric(name), gain.estimate) for name, gain in found.metrics.items()),
        *([f"{abs(found.saved.estimate):.0%} in time"] if found.saved else []),
    ]
    if not differences:
        return []
    return [f"Noise: the control, {arms[0].name} again, differs from it by {', '.join(differences)}."]


def _gap(measured: Metric, difference: float) -> str:
    """How far two values of a metric are apart, in words."""
    if measured.is_proportion:
        return f"{100 * abs(difference):.1f} points in {measured.label}"
    return f"{abs(difference):.3g} in {measured.label}"
