"""What the pages of a run and of a comparison share: plots of runs, and how a run is told in facts and tables."""

from __future__ import annotations

import base64
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ftapp import recipe
from ftapp.analysis.metrics.calibration import measure_expected_error
from ftapp.analysis.metrics.scores import score_classes
from ftapp.analysis.records import Record
from ftapp.analysis.statistics import Series
from ftapp.common import formatting
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import describe_proof, format_duration, format_flops, format_size
from ftapp.common.safe_files import read_bytes
from ftapp.report import color_maps, page, svg
from ftapp.report.svg import Line
from ftapp.runs import annotation, result_warnings
from ftapp.runs.history import History
from ftapp.runs.narration import describe_engine
from ftapp.runs.phase_events import Evaluated, PhaseEnded, PhaseStarted, SegmentProof

PARTS = ("features", "training", "evaluation", "other")
"""What the time of a phase goes into."""

_SMOOTHED = 25  # of the steps, one part in so many


def smooth(values: Series) -> Series:
    """The mean around each step, over about 4% of all steps; shorter at the ends."""
    width = max(1, len(values) // _SMOOTHED) | 1
    if width == 1:
        return values
    sums, half = np.zeros(len(values) + 1), width // 2
    np.cumsum(values, out=sums[1:])
    means: Series = np.empty(len(values))
    np.subtract(sums[width:], sums[:-width], out=means[half:-half])
    means[half:-half] /= width
    shorter = np.arange(half + 1, width)  # the steps around each of those at the beginning
    means[:half] = sums[shorter] / shorter
    means[-half:] = ((sums[-1] - sums[len(values) - shorter]) / shorter)[::-1]
    return means


def draw_training(found: Sequence[tuple[Record, int]], what: str, *, raw: bool) -> list[Line]:
    """Curves of the loss or a metric of the runs' batches, smoothed. raw: with the values of each step behind them.

    found: runs with their tones.
    """
    made = []
    for one, tone in found:
        x, y = one.column("step"), one.column(what)
        if raw:
            made.append(Line(f"{one.name}, each batch", x, y, tone, "faint"))
        made.append(Line(one.name, x, smooth(y), tone))
    return made


def draw_gradient_norms(found: Sequence[tuple[Record, int]], legend: Sequence[tuple[str, int]] = ()) -> list[str]:
    """The norm of each step's gradient, of those runs that tell it. found: runs with their tones."""
    lines = [
        Line(one.name, one.column("step"), norms, tone)
        for one, tone in found
        if np.isfinite(norms := one.column("gradient_norm")).any()
    ]
    if not lines:
        return []
    plot = svg.draw_lines(lines, "step", borders=find_phase_borders(found[0][0].history), log=True)
    return [page.build_figure("Norm of the gradient", plot, "Of all weights that train, before it is clipped.", legend)]


def split_evaluations(history: History) -> dict[str, list[Evaluated]]:
    """The evaluations of each split, in order; the final one of the whole test split apart from partial ones."""
    splits: dict[str, list[Evaluated]] = {}
    for evaluation in history.evaluations:
        splits.setdefault(evaluation.split, []).append(evaluation)
    return splits


def draw_evaluations(name: str, evaluations: Sequence[Evaluated], what: str, tone: int) -> Line:
    """A curve of the held-out loss or a metric."""
    values = [each.value(what) for each in evaluations]
    return Line(
        name,
        np.array([each.step for each in evaluations], np.float64),
        np.array([math.nan if value is None else value for value in values], np.float64),
        tone,
        "marks",
    )


def build_confusion(history: History) -> list[str]:
    """The confusion matrix of the result, each class's scores and calibration; nothing for a run that has none."""
    found = next((each for each in reversed(history.confusions) if each.final), None)
    classes = history.data.classes if history.data else []
    if found is None or len(found.counts) != len(classes):
        return []
    counts = np.array(found.counts, np.int64)
    made = score_classes(counts)
    rows = [
        [name, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", f"{examples:,}"]
        for name, precision, recall, f1, examples in zip(
            classes, made.precision, made.recall, made.f1, made.examples, strict=True
        )
    ]
    rows.append(["mean", *(f"{value:.3f}" for value in made.mean()), f"{made.examples.sum():,}"])
    bins = np.array(found.calibration, np.float64).reshape(-1, 3)
    calibrated = []
    if bins.any():
        caption = (
            f"Expected calibration error {measure_expected_error(bins):.3f}: how far the share of right answers lies "
            "from the model's probability on average. They agree on the line; larger points are more examples."
        )
        calibrated = [page.build_figure("Calibration", svg.draw_reliability(bins), caption)]
    return [
        page.build_figure(f"Confusion matrix, {found.split} split", color_maps.draw_matrix(counts, classes)),
        page.build_figure("By class", page.build_table(["class", "precision", "recall", "F1", "of"], rows)),
        *calibrated,
    ]


def build_set_scores(history: History) -> list[str]:
    """How each class is found where examples may have several; nothing for a run that has none."""
    found = next((each for each in reversed(history.set_scores) if each.final), None)
    classes = history.data.classes if history.data else []
    if found is None or len(found.f1) != len(classes):
        return []
    rows = [
        [name, *(f"{value:.3f}" for value in values), "" if average is None else f"{average:.3f}", f"{count:,}"]
        for name, average, count, *values in zip(
            *(classes, found.average_precision, found.counts),
            *(found.precision, found.recall, found.f1, found.thresholds),
            strict=True,
        )
    ]
    header = ["class", "precision", "recall", "F1", "threshold", "average precision", "of"]
    caption = (
        "An example has a class if its score is at least the threshold, which has the best F1 on the validation split."
    )
    return [page.build_figure(f"By class, {found.split} split", page.build_table(header, rows), caption)]


def draw_comparison(history: History) -> list[str]:
    """The answers to held-out examples over their true numbers; nothing for a run that has none."""
    found = next((each for each in reversed(history.comparisons) if each.final and each.truth), None)
    if found is None:
        return []
    examples = formatting.format_quantity(len(found.truth), "example")
    caption = f"Of {examples} of the {found.split} split. Right answers lie on the line."
    plot = svg.draw_scatter(np.array(found.truth), np.array(found.answers), "true number", "answer")
    return [page.build_figure("Answers over true numbers", plot, caption)]


def show_augmentation(one: Record) -> list[str]:
    """Training images and what augmentation makes of them; nothing of a run that has none."""
    try:
        picture = base64.b64encode(read_bytes(one.run.augmentation_file)).decode()
    except OSError:
        return []
    image = f'<img class="sheet" alt="Training images, augmented" src="data:image/webp;base64,{picture}">'
    caption = "Training images as they are, on the left, and as they may look in a step."
    return [page.build_figure("Augmentation", image, caption)]


def find_phase_borders(history: History) -> list[tuple[float, str]]:
    """Where phases begin, where the run was resumed, and where other layers train, for plots over steps.

    A single phase has no border.
    """
    phases = [(phase.first_step, phase.phase) for phase in history.phases] if len(history.phases) > 1 else []
    seams = [
        *((each.step + 1, "resumed") for each in history.resumed if each.step),
        *((each.step + 1, "layers changed") for each in history.layer_changes if each.step),
    ]
    return [(float(step), name) for step, name in sorted([*phases, *seams])]


def split_time(phase: PhaseEnded) -> list[float]:
    """Seconds of a phase by `PARTS`."""
    known = [phase.preparing, phase.training, phase.evaluating]
    return [*known, max(0.0, phase.seconds - sum(known))]


def draw_time_bars(rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Where time went, a bar a row. rows: (name, seconds by `PARTS`)."""
    return page.build_figure(
        "Where the time went",
        svg.draw_bars(rows, PARTS, format_duration),
        legend=[(name, tone) for tone, name in enumerate(PARTS)],
    )


def tabulate_phases(history: History) -> list[list[str]]:
    """A table: the names of the phases, then a row for each thing that was planned and measured."""
    ended = {phase.phase: phase for phase in history.ended_phases}
    timed = {phase.phase: phase.seconds for phase in history.timed}
    columns = [_tabulate_phase(phase, timed.get(phase.phase), ended.get(phase.phase)) for phase in history.phases]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]] if columns else []
    return [["", *(f"phase {phase.phase}" for phase in history.phases)], *rows]


def _tabulate_phase(phase: PhaseStarted, timed: float | None, ended: PhaseEnded | None) -> dict[str, str]:
    estimate, unknown = phase.estimate, "–"
    rows = {
        "trainable share R": f"{formatting.format_share(phase.trainable / phase.parameters)} of {phase.parameters:,}"
        + (f"; {phase.adapters:,} in adapters" if phase.adapters else ""),
        "steps": f"{ended.steps if ended else unknown} of {phase.steps} planned, "
        + formatting.format_quantity(phase.epochs, "epoch")
        + (f"; {ended.stopped}" if ended and ended.stopped else ""),
        "time, planned": format_duration(timed) if timed is not None else unknown,
        "time, spent": format_duration(ended.seconds) if ended else unknown,
        "a step, planned": format_flops(estimate.flops) if estimate else unknown,
        "memory, planned": unknown,
        "memory, peak of the process": format_size(ended.memory) if ended else unknown,
        "cached features": unknown,
    }
    if estimate:
        parts = "weights, gradients, optimizer, activations"
        rows["memory, planned"] = f"{format_size(estimate.memory)} for {parts}{estimate.where}"
    if phase.cache:
        kept = format_size(phase.cache.size) if phase.cache.cached else "none"
        rows["cached features"] = f"{kept}: {phase.cache.reason}{describe_engine(phase.cache)}"
    return rows


def describe_phase_proofs(history: History) -> list[str]:
    """The freeze proofs of a run, phase by phase, and within a phase segment by segment."""
    proofs = []
    for phase in history.ended_phases:
        changes = [each for each in history.layer_changes if each.phase == phase.phase]
        segments = [each for each in changes if each.proof.steps]
        proofs += [describe_phase_proof(f"{phase.phase}, up to step {each.step}", each.proof) for each in segments]
        proofs.append(describe_phase_proof(f"{phase.phase}{', from then on' if segments else ''}", phase))
    return proofs


def describe_phase_proof(name: str, phase: PhaseEnded | SegmentProof) -> str:
    """A freeze proof, with the hash of what is frozen and the names of what is not as it should be.

    Args:
        name: What it is of.
        phase: The proof.
    """
    proof = describe_proof(phase.frozen, len(phase.changed), phase.moved, phase.moved + len(phase.still))
    found = {
        "hash of the frozen": [phase.digest] if phase.frozen else [],
        "changed": phase.changed,
        "still": phase.still,
    }
    return "; ".join([f"{name}: {proof}", *(f"{what}: {', '.join(each)}" for what, each in found.items() if each)])


def list_warnings(one: Record) -> list[str]:
    """What is wrong with a run's result, in sentences."""
    loaded = None
    with suppress(RecipeError):  # a folder that was tampered with, or is of another version
        loaded = recipe.load(one.run.recipe_file)
    return [f"Warning: {each}" for each in result_warnings.find_warnings(one.history, loaded)]


def list_facts(one: Record) -> list[str]:
    """What a run was, in a few words each."""
    started, facts = one.history.started, one.facts
    created = facts.get("created")
    return [
        time.strftime("%Y-%m-%d %H:%M", time.localtime(created)) if isinstance(created, int | float) else "",
        f"profile {facts['profile']}" if facts.get("profile") else "",
        f"{started.backend}, {started.precision}" if started else "",
        f"seed {started.seed}" if started else "",
        str(one.settings.get("model.preset", "")).partition("#")[0].rpartition("/")[2],
        *(f"#{tag}" for tag in annotation.load(one.run.folder).tags),
    ]


def describe_environment(facts: Mapping[str, Any]) -> str:
    """The machine and the versions of a run."""
    packages, cores = facts.get("packages", {}), facts.get("cores")
    counted = formatting.format_quantity(cores, "core") if isinstance(cores, int) else "cores unknown"
    rows = {
        "processor": f"{facts.get('processor') or 'unknown'}, {counted}",
        "platform": facts.get("platform"),
        "Python": facts.get("python"),
        **(packages if isinstance(packages, dict) else {}),
    }
    return page.build_pairs(rows)


def list_commands(one: Record) -> list[str]:
    """The commands that give the run again: as it was started, and from its own folder."""
    command = one.facts.get("command")
    lines = []
    if isinstance(command, list) and command:
        lines.append(shlex.join(["ftapp", *map(str, command[1:])]))
    precision = one.history.started.precision if one.history.started else "auto"
    lines.append(shlex.join(["ftapp", "run", str(one.run.recipe_file), "--precision", precision]))
    return lines
