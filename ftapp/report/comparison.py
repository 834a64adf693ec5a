"""The report of several runs: curves over each other, losses against y = x, times, and what can be told of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ftapp.analysis import Interval
from ftapp.compare import Comparison, Record, compared, differences, metrics
from ftapp.report import page, pieces, svg
from ftapp.units import duration, size


def write(found: Sequence[Record], path: Path) -> Path:
    """Write the report of runs, each against the first, and return its path. Raises OSError."""
    title = " against ".join(dict.fromkeys(each.title for each in found))
    path.write_text(page.page(title, body(found, title)), encoding="utf-8")
    return path


def write_csv(found: Sequence[Record], file: TextIO) -> None:
    """A row for each run: its metrics, and the keys in which the recipes differ."""
    keys = differences(found)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["name", "run", *metrics(found[0]), *keys])
    for index, each in enumerate(found):
        values = [value if value is None else shown(value) for value in (row[index] for row in keys.values())]
        writer.writerow([each.name, str(each.run.folder), *metrics(each).values(), *values])


def sentences(found: Sequence[Record]) -> list[str]:
    """What can be told of each later run against the first, and what cannot and why."""
    made = [compared([found[0]], [each]) for each in found[1:]]
    return [line for each in made for line in (*each.verdicts, *_reasons(each))]


def body(found: Sequence[Record], title: str) -> list[str]:
    """The page of a comparison, section by section."""
    made = [compared([found[0]], [each]) for each in found[1:]]
    rows = difference_rows(found)
    names = [each.name for each in found]
    return [
        _header(found, title),
        page.items("verdicts", [verdict for each in made for verdict in each.verdicts]),
        "".join(f'<p class="soft">{escape(line)}</p>' for each in made for line in _reasons(each)),
        page.grid([*curves(found), *scatters(found), *forests(made), times(found)]),
        page.heading("Results"),
        page.table(["", *names], metric_rows(found)),
        page.heading("Where the recipes differ"),
        page.table(["key", *names], rows) if rows else "<p>They are the same.</p>",
        *samples(found),
        page.heading("To do it again"),
        page.code("\n".join(dict.fromkeys(line for each in found for line in pieces.reproduce(each)[:1])), wrap=True),
        page.details("Freeze proofs", _proofs(found)),
        page.details("Machine and versions", pieces.environment(found[0].facts)),
        f"<footer>{escape(METHOD)}</footer>",
    ]


METHOD = (
    "Intervals are at 95% confidence. With fewer than three repeats they come from a stationary block bootstrap of the "
    "steps around their smooth course and speak of these runs; with three or more from Student's t over the repeats, "
    "and speak of seeds. Intervals of accuracies with fewer than three repeats are Newcombe's. Times leave out the "
    "first three steps of each phase, in which functions are compiled, and all evaluations; features that are kept "
    "count."
)


def _header(found: Sequence[Record], title: str) -> str:
    told = "".join(f"<span>{escape(each.name)}: {escape(each.status)}</span>" for each in found)
    return f'<header><h1>{escape(title)}</h1><div class="facts">{told}</div></header>'


def _reasons(made: Comparison) -> list[str]:
    """Why some things are not compared."""
    return [f"Not compared, {made.b} with {made.a}: {why}." for why in dict.fromkeys(made.reasons.values())]


def curves(found: Sequence[Record]) -> list[str]:
    """Losses and accuracies of the runs over each other."""
    made = []
    legend = [(each.name, tone) for tone, each in enumerate(found)]
    borders = pieces.borders(found[0].history)
    for what in ("loss", "accuracy"):
        drawn = [each for each in found if not np.isnan(each.column(what)).all()]
        if not drawn:
            continue
        plot = svg.lines(pieces.training_lines(found, what, raw=len(found) <= 3), "step", borders=borders)
        made.append(page.figure(f"Training {what}", plot, "Smoothed; of each batch, faint.", legend))
        held = [
            pieces.evaluation_line(f"{each.name}, {split}", evaluations, what, tone)
            for tone, each in enumerate(found)
            for split, evaluations in list(pieces.held_out(each.history).items())[:1]
        ]
        made.append(page.figure(f"Held-out {what}", svg.lines(held, "step", borders=borders), legend=legend))
    return made


def scatters(found: Sequence[Record]) -> list[str]:
    """The losses of each later run against the first's on the same steps."""
    made = []
    for other in found[1:]:
        n = min(len(found[0].history.steps), len(other.history.steps))
        if n:
            x, y = (each.column("loss")[:n] for each in (other, found[0]))
            plot = svg.scatter(x, y, f"loss of {other.name}", f"loss of {found[0].name}")
            caption = f"A point is a step, later ones stronger. Under the line {found[0].name} has the lower loss."
            made.append(page.figure(f"{other.name} against {found[0].name}", plot, caption))
    return made


def forests(made: Sequence[Comparison]) -> list[str]:
    """Differences with their intervals."""
    if not made:
        return []
    titles = {
        "loss": ("Difference of training losses", "loss, minus that of " + made[0].a),
        "accuracy": ("Difference of test accuracies", "accuracy, minus that of " + made[0].a),
        "saved": ("Training time saved", "r, against " + made[0].a),
    }
    figures = []
    for name, (title, label) in titles.items():
        rows: list[tuple[str, float, float, float]] = []
        for each in made:
            found: Interval | None = getattr(each, name)
            if found is not None:
                rows.append((each.b, found.estimate, found.low, found.high))
        if rows:
            figures.append(
                page.figure(
                    title,
                    svg.intervals(rows, label),
                    "95% intervals; what touches the line cannot be told from zero.",
                )
            )
    return figures


def times(found: Sequence[Record]) -> str:
    """Where the time of each run went."""
    rows = [
        (each.name, np.sum([pieces.spent(phase) for phase in each.history.ended_phases], axis=0).tolist())
        for each in found
        if each.history.ended_phases
    ]
    return pieces.time_bars(rows)


_FORMATS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "test_loss": ("test loss", "{:.4f}".format),
    "test_accuracy": ("test accuracy", "{:.2%}".format),
    "trainable_share": ("R, last phase", "{:.2%}".format),
    "steps": ("steps", "{:,}".format),
    "seconds": ("time in all", duration),
    "preparing": ("features", duration),
    "training": ("training", duration),
    "evaluating": ("evaluation", duration),
    "step_seconds": ("a step, median", duration),
    "peak_memory": ("peak memory", size),
}


def metric_rows(found: Sequence[Record]) -> list[list[str]]:
    """What the runs gave, a row for each metric that one of them has: its name, then each run's in words."""
    all_of_them = [metrics(each) for each in found]
    rows = []
    for key in all_of_them[0]:
        name, told = _FORMATS.get(key, (key, str))
        values = [each[key] for each in all_of_them]
        if any(value is not None for value in values):
            rows.append([name, *("" if value is None else told(value) for value in values)])
    return rows


def difference_rows(found: Sequence[Record]) -> list[list[str]]:
    """The keys in which the recipes differ: a key's name, then each run's value in words."""
    return [[key, *map(shown, values)] for key, values in differences(found).items()]


def shown(value: object) -> str:
    """A value of a recipe in words."""
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def samples(found: Sequence[Record]) -> list[str]:
    """What the language models among the runs wrote last to each prompt, beside each other."""
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for each in found:
        for sample in each.history.samples:
            if sample.step == each.history.samples[-1].step:
                by_prompt.setdefault(sample.prompt, []).append(
                    (f"{each.name}, after {sample.step:,} steps", sample.text)
                )
    cards = [page.quotes(f"“{prompt} …”", texts) for prompt, texts in by_prompt.items()]
    return [page.heading("Samples"), page.grid(cards)] if cards else []


def _proofs(found: Sequence[Record]) -> str:
    return "".join(
        f"<p>{escape(each.name)}, {escape(pieces.proof(phase))}</p>"
        for each in found
        for phase in each.history.ended_phases
    )
