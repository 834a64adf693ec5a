"""The report of several runs: curves over each other, losses against y = x, times, and what can be told of them."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ftapp.analysis.compare import Comparison, compare_all
from ftapp.analysis.cross_validation import HEADER as FOLD_HEADER
from ftapp.analysis.cross_validation import METHOD as FOLD_METHOD
from ftapp.analysis.cross_validation import summarize_all
from ftapp.analysis.findings import HEADER
from ftapp.analysis.records import Arm, collect_drift, find_differences, measure_run, measure_token_share_gain
from ftapp.analysis.statistics import Interval, measure_windowed_variance
from ftapp.common import formatting
from ftapp.common.csv_cells import format_cell
from ftapp.common.durable import replace_file
from ftapp.recipe.metrics import get_metric, sort_names
from ftapp.report import page, pieces, svg
from ftapp.report.svg import Line
from ftapp.runs.narration import describe_interventions


def write(
    arms: Sequence[Arm],
    path: Path,
    title: str | None = None,
    facts: Sequence[str] = (),
    findings: Sequence[Sequence[str]] = (),
) -> Path:
    """Write the report of arms, each against the first, and return its path. Raises OSError.

    title: else those of the runs; facts: what else to say at the top, in sentences; findings: rows of
    `ftapp.analysis.findings.HEADER`.
    """
    title = title or " against ".join(dict.fromkeys(arm.records[0].title for arm in arms))
    replace_file(path, page.build_page(title, build_body(arms, title, facts, findings)).encode())
    return path


def write_csv(arms: Sequence[Arm], file: TextIO) -> None:
    """A row for each run: its metrics, and the keys in which the recipes differ."""
    keys = find_differences(arms)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["name", "run", *measure_run(arms[0].records[0]), *map(format_cell, keys)])
    for index, arm in enumerate(arms):
        values = [
            value if value is None else _format_csv_value(value) for value in (row[index] for row in keys.values())
        ]
        for each in arm.records:
            names = map(format_cell, (arm.name, str(each.run.folder)))
            writer.writerow([*names, *measure_run(each).values(), *values])


def _format_csv_value(value: object) -> str:
    return str(value) if isinstance(value, int | float) else format_cell(format_setting(value))


def list_sentences(arms: Sequence[Arm]) -> list[str]:
    """What can be told of each later arm against the first, and what cannot and why."""
    found = [line for each in compare_all(arms) for line in (*each.verdicts, *_list_reasons(each))]
    return [*found, *_list_interventions(arms)]


def _list_interventions(arms: Sequence[Arm]) -> list[str]:
    """The runs that did not only follow their recipes."""
    return [
        f"While {arm.name} trained: {steered}."
        for arm in arms
        for each in arm.records
        if (steered := describe_interventions(each.history))
    ]


def build_body(
    arms: Sequence[Arm], title: str, facts: Sequence[str] = (), findings: Sequence[Sequence[str]] = ()
) -> list[str]:
    """The page of a comparison, section by section."""
    made, rows, names = compare_all(arms), list_differences(arms), [arm.name for arm in arms]
    commands = dict.fromkeys(line for arm in arms for each in arm.records for line in pieces.list_commands(each)[:1])
    notes = [*facts, *(line for each in made for line in _list_reasons(each)), *_list_interventions(arms)]
    return [
        _build_header(arms, title),
        *_show_folds(arms),
        page.build_heading("Findings") + page.stack(HEADER, findings) + page.build_heading("Compared")
        if findings
        else "",
        page.build_list("verdicts", [verdict for each in made for verdict in each.verdicts]),
        "".join(f'<p class="soft">{escape(line)}</p>' for line in notes),
        page.build_grid(
            [
                *draw_curves(arms),
                *draw_scatters(arms, made),
                *draw_variances(arms),
                *draw_forests(made),
                *draw_drifts(arms),
                *draw_token_shares(arms),
                draw_times(arms),
            ]
        ),
        page.build_heading("Results"),
        page.build_table(["", *names], list_metrics(arms)),
        page.build_heading("Where the recipes differ"),
        page.build_table(["key", *names], rows) if rows else "<p>They are the same.</p>",
        *show_samples(arms),
        page.build_heading("To do it again"),
        page.build_code("\n".join(commands), wrap=True),
        page.build_details("Freeze proofs", _list_proofs(arms)),
        page.build_details("Machine and versions", pieces.describe_environment(arms[0].records[0].facts)),
        f"<footer>{escape(METHOD)}</footer>",
    ]


# Windows of variance: about so many, and of so many steps or more.
_WINDOWS, _WINDOW = 12, 8
_RAW = 3
"""Up to so many runs are drawn with the values of each batch."""

METHOD = (
    "Intervals are at 95% confidence. With fewer than three repeats, they come from a stationary block bootstrap of "
    "the steps around their smooth trend, and describe these runs. With three or more, they are Student's t over the "
    "repeats, and describe the variation between seeds. Intervals of accuracies with fewer than three repeats are "
    "Newcombe's. Times leave out all evaluations and the first three steps of each phase, which compile functions. If "
    "other processes used more than a tenth of the cores' time, a note beside the times says so. The time to compute "
    "cached features counts once for each arm, also if an earlier run computed them."
)


def _show_folds(arms: Sequence[Arm]) -> list[str]:
    """What each arm gave over its folds, a table for each, and how it was computed."""
    folds = summarize_all(arms)
    tables = [
        page.build_heading(each.title)
        + page.build_table(FOLD_HEADER, each.rows())
        + (f"<p>{escape(each.problem)}</p>" if each.problem else "")
        for each in folds
    ]
    return [*tables, f'<p class="soft">{escape(FOLD_METHOD)}</p>'] if folds else []


def _build_header(arms: Sequence[Arm], title: str) -> str:
    statuses = [f"{arm.name}: {', '.join(dict.fromkeys(each.status for each in arm.records))}" for arm in arms]
    spans = "".join(f"<span>{escape(text)}</span>" for text in statuses)
    return f'<header><h1>{escape(title)}</h1><div class="facts">{spans}</div></header>'


def _list_reasons(made: Comparison) -> list[str]:
    """Why some things are not compared."""
    return [f"Not compared, {made.b} with {made.a}: {why}." for why in dict.fromkeys(made.reasons.values())]


def draw_curves(arms: Sequence[Arm]) -> list[str]:
    """Losses and accuracies of the arms over each other, a line for each run."""
    made = []
    legend = [(arm.name, tone) for tone, arm in enumerate(arms)]
    toned = [(each, tone) for tone, arm in enumerate(arms) for each in arm.records]
    borders = pieces.find_phase_borders(arms[0].records[0].history)
    names = sort_names(("loss", *(name for each, _ in toned for name in each.history.metrics)))
    for what, label in ((name, get_metric(name).label) for name in names):
        drawn = [(each, tone) for each, tone in toned if what == "loss" or what in each.history.metrics]
        raw = len(drawn) <= _RAW
        plot = svg.draw_lines(pieces.draw_training(drawn, what, raw=raw), "step", borders=borders)
        caption = "Smoothed; each batch behind it." if raw else "Smoothed."
        made.append(page.build_figure(f"Training {label}", plot, caption, legend))
        held = [
            pieces.draw_evaluations(f"{each.name}, {split}", evaluations, what, tone)
            for each, tone in drawn
            for split, evaluations in list(pieces.split_evaluations(each.history).items())[:1]
        ]
        made.append(
            page.build_figure(f"Held-out {label}", svg.draw_lines(held, "step", borders=borders), legend=legend)
        )
    return made + pieces.draw_gradient_norms(toned, legend)


def draw_drifts(arms: Sequence[Arm]) -> list[str]:
    """The change of a step in each later arm and in the first, the mean of the layers that train in both."""
    made = []
    for number, arm in enumerate(arms[1:], 1):
        toned = [(each, tone) for tone, one in ((0, arms[0]), (number, arm)) for each in one.records]
        found = [(each, tone, *collect_drift(each.history, "last_step")) for each, tone in toned]
        shared = set.intersection(*(set(layers) for _, _, layers, _, _ in found))
        if not shared:
            continue
        drawn = []
        for each, tone, layers, steps, values in found:
            rows = [index for index, name in enumerate(layers) if name in shared]
            drawn.append(Line(each.name, steps, values[rows].mean(axis=0), tone, "marks"))
        caption = f"‖W_t − W_(t−1)‖, the mean over the {len(shared)} layers that train in both."
        legend = [(arms[0].name, 0), (arm.name, number)]
        made.append(
            page.build_figure("Change of the weights in a step", svg.draw_lines(drawn, "step"), caption, legend)
        )
    return made


def draw_variances(arms: Sequence[Arm]) -> list[str]:
    """How unsteady the losses are in windows of steps, around a straight line in each."""
    drawn = []
    for tone, arm in enumerate(arms):
        for each in arm.records:
            losses, steps = each.column("loss"), each.column("step")
            window = max(_WINDOW, len(losses) // _WINDOWS)
            _, values = measure_windowed_variance(losses, window)
            ends = steps[window - 1 :: window][: len(values)]
            drawn.append(Line(each.name, ends, values, tone, "marks"))
    if not any(len(line.x) for line in drawn):
        return []
    legend = [(arm.name, tone) for tone, arm in enumerate(arms)]
    caption = "In windows of steps, around a straight line through each, so that the fall of the loss does not count."
    return [page.build_figure("Variance of the loss", svg.draw_lines(drawn, "step", log=True), caption, legend)]


def draw_scatters(arms: Sequence[Arm], made_of: Sequence[Comparison]) -> list[str]:
    """The losses of each later arm against the first's on the same steps. made_of: what is told of each."""
    made, first = [], arms[0]
    for arm, comparison in zip(arms[1:], made_of, strict=True):
        x, y = [], []
        for one, other in zip(first.records, arm.records, strict=True):
            n = min(len(one.history.steps), len(other.history.steps))
            x.append(other.column("loss")[:n])
            y.append(one.column("loss")[:n])
        plot = svg.draw_scatter(np.concatenate(x), np.concatenate(y), f"loss of {arm.name}", f"loss of {first.name}")
        caption = f"A point is a step, later ones stronger. Under the line {first.name} has the lower loss"
        caption += (
            f": {comparison.under.estimate:.0%} of the points."
            if comparison.under
            else "; the batches are not the same."
        )
        made.append(page.build_figure(f"{arm.name} against {first.name}", plot, caption))
    return made


def draw_forests(made: Sequence[Comparison]) -> list[str]:
    """Differences with their intervals."""
    if not made:
        return []
    first = made[0].a
    labels = [(name, get_metric(name).label) for name in sort_names(name for each in made for name in each.metrics)]
    differences: list[tuple[str, str, list[Interval | None]]] = [
        ("Difference of training losses", f"loss, minus that of {first}", [each.loss for each in made]),
        *(
            (
                f"Difference in test {label}",
                f"{label}, minus that of {first}",
                [each.metrics.get(name) for each in made],
            )
            for name, label in labels
        ),
        ("Training time saved", f"r, against {first}", [each.saved for each in made]),
    ]
    figures = []
    for title, label, found in differences:
        rows = [
            (each.b, interval.estimate, interval.low, interval.high)
            for each, interval in zip(made, found, strict=True)
            if interval is not None
        ]
        if rows:
            figures.append(
                page.build_figure(
                    title,
                    svg.draw_intervals(rows, label),
                    "95% intervals; what touches the line cannot be told from zero.",
                )
            )
    return figures


def draw_token_shares(arms: Sequence[Arm]) -> list[str]:
    """How much the share of common tokens in what the models write grew, with intervals."""
    gains = [(each.name, measure_token_share_gain(each)) for arm in arms for each in arm.records]
    rows = [(name, found.estimate, found.low, found.high) for name, found in gains if found is not None]
    if not rows:
        return []
    caption = "Δp, after minus before: the share of the training text's most frequent tokens in what a model writes."
    return [page.build_figure("Common tokens", svg.draw_intervals(rows, "Δp"), caption)]


def draw_times(arms: Sequence[Arm]) -> str:
    """Where the time of each arm went, by the mean of its runs."""
    rows = []
    for arm in arms:
        spent = [
            np.sum([pieces.split_time(phase) for phase in each.history.ended_phases], axis=0)
            for each in arm.records
            if each.history.ended_phases
        ]
        if spent:
            rows.append((arm.name, np.mean(spent, axis=0).tolist()))
    return pieces.draw_time_bars(rows)


_FORMATS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "token_share_before": ("common tokens, before", "{:.1%}".format),
    "token_share_after": ("common tokens, after", "{:.1%}".format),
    "trainable_share": ("R, last phase", formatting.format_share),
    "steps": ("steps", "{:,.0f}".format),
    "best_step": ("weights of step", "{:,.0f}".format),
    "seconds": ("time in all", formatting.format_duration),
    "preparing": ("features", formatting.format_duration),
    "training": ("training", formatting.format_duration),
    "evaluating": ("evaluation", formatting.format_duration),
    "step_seconds": ("a step, median", formatting.format_duration),
    "peak_memory": ("peak memory", formatting.format_size),
}


def list_metrics(arms: Sequence[Arm]) -> list[list[str]]:
    """What the arms gave, a row for each metric that one of them has: its name, then each arm's in words.

    Of several runs of an arm these are the mean and the standard deviation, or all that came.
    """
    all_of_them = [[measure_run(each) for each in arm.records] for arm in arms]
    rows = []
    for key in dict.fromkeys(key for found in all_of_them for each in found for key in each):
        name, format_value = _FORMATS.get(key, (key, str))
        if key.startswith("test_"):
            measured = get_metric(key.removeprefix("test_"))
            name, format_value = f"test {measured.label}", measured.format_text
        cells = [_cell([each.get(key) for each in found], format_value) for found in all_of_them]
        if any(cells):
            rows.append([name, *cells])
    return rows


def _cell(values: Sequence[Any], format_value: Callable[[Any], str]) -> str:
    known = [value for value in values if value is not None]
    if len(set(known)) <= 1 or format_value is str:
        return ", ".join(format_value(value) for value in dict.fromkeys(known))
    return f"{format_value(statistics.fmean(known))} ± {format_value(statistics.stdev(known))}"


def list_differences(arms: Sequence[Arm]) -> list[list[str]]:
    """The keys in which the recipes differ: a key's name, then each arm's value in words."""
    return [[key, *map(format_setting, values)] for key, values in find_differences(arms).items()]


def format_setting(value: object) -> str:
    """A value of a recipe in words. A text with line ends, tabs or space around it is written as in a recipe's file."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(format_setting, value))
    if isinstance(value, str) and (value != value.strip() or not value.isprintable()):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def show_samples(arms: Sequence[Arm]) -> list[str]:
    """What the language models among the arms wrote last to each prompt, in the first repeat, beside each other."""
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for arm in arms:
        written = arm.records[0].history.samples
        for sample in written:
            if sample.step == written[-1].step:
                by_prompt.setdefault(sample.prompt, []).append(
                    (f"{arm.name}, after {formatting.format_quantity(sample.step, 'step')}", sample.text)
                )
    cards = [page.build_quotes(f"“{prompt} …”", texts) for prompt, texts in by_prompt.items()]
    return [page.build_heading("Samples"), page.build_grid(cards)] if cards else []


def _list_proofs(arms: Sequence[Arm]) -> str:
    return "".join(
        f"<p>{escape(each.name)}, {escape(proof)}</p>"
        for arm in arms
        for each in arm.records
        for proof in pieces.describe_phase_proofs(each.history)
    )
