"""A comparison of backends as it is read in a terminal: a table for each phase, one of the processes, a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from ftapp.analysis.parity import TOLERANCES, compare_losses, compute_step_seconds
from ftapp.cli.backend_trials import BackendTrials
from ftapp.common.formatting import format_duration, format_number, format_quantity, format_size
from ftapp.common.tables import Column, print_table, print_text
from ftapp.recipe import Backend, Recipe
from ftapp.recipe.metrics import get_metric
from ftapp.runs.backend_trial import PhaseTrial, Trial


def print_comparison(recipe: Recipe, comparison: BackendTrials) -> None:
    """Print what the backends gave.

    Args:
        recipe: The recipe.
        comparison: The backends so far.
    """
    if reference := comparison.reference:
        trials = comparison.trials
        first = trials[reference]
        new = f", {first.redrawn} of them new and drawn by {reference}" if first.redrawn else ""
        print_text(
            f"{recipe.precision}, seed {recipe.seed}; all begin with the same {first.weights} weights{new}; dropout is "
            "off, since its masks are others on each backend"
        )
        for index, phase in enumerate(first.phases):
            taken, of = len(phase.losses), format_quantity(phase.planned, "step")
            where = ", on cached features" if phase.cached else ""
            print_text(f"\nphase {phase.name}: the first {taken} of {of}{where}")
            _print_phase(recipe, {name: trial.phases[index] for name, trial in trials.items()})
        _print_processes(trials)
        tolerance = TOLERANCES[recipe.precision]
        print_text(
            f"\ntolerance: {tolerance.loss:g} of a loss, and {tolerance.update:g} of the changes of weights together: "
            f"{tolerance.reason}"
        )
    for name, failure in comparison.failures.items():
        print_text(f"✗ {name} failed: {failure}")
    for name, sentences in comparison.find_differences().items():
        for sentence in sentences:
            print_text(f"✗ {name} differs from {reference}: {sentence}")
        if not sentences:
            print_text(f"✓ {name} differs from {reference} by rounding alone")


def _print_phase(recipe: Recipe, phases: Mapping[Backend, PhaseTrial]) -> None:
    first = next(iter(phases.values()))
    split = recipe.evaluate.split
    others = [name for name in first.metrics if name != "loss"][:1]
    columns = [
        Column("backend"),
        Column("loss 1", 3, right=True),
        Column(f"loss {len(first.losses)}", 1, right=True),
        Column("difference", 0, right=True),
        Column("at step", 5, right=True),
        Column("of weights", 0, right=True),
        Column(f"{split} loss", 2, right=True),
        *(Column(get_metric(name).heading, 4, right=True) for name in others),
        Column("step", 1, right=True),
    ]
    rows = []
    for name, phase in phases.items():
        difference = compare_losses(phase, first)
        seconds = compute_step_seconds(phase)
        rows.append(
            [
                name,
                format_number(phase.losses[0]),
                format_number(phase.losses[-1]),
                f"{difference.share:.1e}" if phase.update else "reference",
                str(difference.step) if phase.update else "",
                f"{phase.update.share:.1e}" if phase.update else "",
                format_number(phase.metrics["loss"]),
                *(get_metric(each).format_cell(phase.metrics[each]) for each in others if each in phase.metrics),
                "" if seconds is None else format_duration(seconds),
            ]
        )
    print_table(columns, rows)


def _print_processes(trials: Mapping[Backend, Trial]) -> None:
    columns = [
        Column("backend"),
        Column("version", 1),
        Column("device", 2),
        Column("start", right=True),
        Column("first steps", right=True),
        Column("peak memory", right=True),
    ]
    rows = [
        [
            name,
            trial.version,
            trial.device,
            format_duration(trial.start_seconds),
            format_duration(sum(phase.seconds[0] for phase in trial.phases)),
            format_size(trial.peak_memory),
        ]
        for name, trial in trials.items()
    ]
    print_text("")
    print_table(columns, rows)
