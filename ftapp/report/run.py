"""The report of one run: `report.html` in its folder."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from ftapp.analysis.records import Record, collect_drift, measure_run, measure_token_share_gain
from ftapp.common import formatting
from ftapp.common.durable import replace_file
from ftapp.common.formatting import duration, size
from ftapp.common.safe_files import read_bytes
from ftapp.recipe.metrics import ACCURACY, in_order, metric
from ftapp.report import card, page, pieces, svg
from ftapp.report.svg import Line
from ftapp.runs import class_results

FILE = "report.html"


def write(one: Record, output: Path | None = None) -> Path:
    """Write the run's report and model card into its folder, and return the report's path.

    output: the report's file, in place of the one in the folder. Raises OSError.
    """
    path = output or one.run.folder / FILE
    replace_file(path, page.page(one.title, body(one)).encode())
    card.write(one)
    return path


def body(one: Record) -> list[str]:
    """The page of a run, section by section."""
    history = one.history
    parts = [_header(one), _figures(one)]
    if history.data and history.data.classes:
        told = formatting.class_counts(history.data.classes, history.data.counts)
        parts.append(f'<p class="soft">Classes: {escape(told)}</p>')
    if history.data and history.data.notes:
        parts.append(f'<p class="soft">Data: {escape("; ".join(history.data.notes))}</p>')
    if damage := one.run.damage() or history.damage():
        parts.append(f'<p class="bad">{escape(f"The files of the run are damaged: {damage}.")}</p>')
    if history.ended and history.ended.error:
        parts.append(f'<p class="bad">{escape(history.ended.error)}</p>')
    if minded := pieces.warnings(one):
        parts.append(page.items("bad", minded))
    if history.notes:
        parts.append(page.items("soft", dict.fromkeys(f"Note: {note.message}" for note in history.notes)))
    if len(history.steps):
        parts += [page.heading("Training"), page.grid(_curves(one))]
    if history.samples:
        parts += [page.heading("Samples"), _samples(one)]
    if history.phases:
        header, *rows = pieces.planned_and_spent(history)
        parts += [page.heading("Planned and spent"), page.table(header, rows)]
    if history.ended_phases:
        parts += [
            page.heading("Freeze proof"),
            "".join(f"<p>{escape(pieces.proof(phase))}</p>" for phase in history.ended_phases),
        ]
    parts += [
        page.heading("To do it again"),
        page.code("\n".join(pieces.reproduce(one)), wrap=True),
        '<p class="soft">The same recipe, seed, machine and backend give the same losses on a CPU.</p>',
        *_drift_table(one),
        *(
            page.details(f"Layers that train in phase {phase.phase}", page.code("\n".join(phase.trainable_layers)))
            for phase in history.phases
        ),
        page.details("Recipe, resolved", page.code(_text(one.run.recipe_file))),
        page.details("Machine and versions", pieces.environment(one.facts)),
        _footer(one),
    ]
    return parts


def _header(one: Record) -> str:
    summary = str(one.settings.get("summary", ""))
    kind = "done" if one.status == "done" else "bad" if one.status in ("failed", "crashed", "refused") else ""
    told = "".join(f"<span>{escape(fact)}</span>" for fact in pieces.facts(one) if fact)
    return (
        f'<header><h1>{escape(one.title)}</h1><p class="summary">{escape(summary)}</p>'
        f'<div class="facts"><span class="status {kind}">{escape(one.status)}</span>{told}</div></header>'
    )


def _figures(one: Record) -> str:
    found, result = measure_run(one), one.history.result
    values: list[tuple[str, str, str]] = []
    if result:
        for measured, value in ((metric(name), value) for name, value in result.metrics.items()):
            best = class_results.find_constant_answer(one.history) if measured == ACCURACY else None
            beside = f"; always '{best.name}': {best.accuracy:.1%}" if best else ""
            note = f"of {result.examples:,} held-out examples{beside}"
            values.append((f"Test {measured.label}", measured.cell(value), note))
        values.append(("Test loss", f"{result.loss:.4g}", f"on {result.examples:,} held-out examples"))
    if one.history.phases:
        last = one.history.phases[-1]
        note = f"{last.trainable:,} of {last.parameters:,} parameters, phase {last.phase}"
        values.append(("Trainable share R", formatting.share(last.trainable / last.parameters), note))
    if (gain := measure_token_share_gain(one)) is not None:
        note = f"from {found['token_share_before']:.1%}; Δp {gain.low:+.3f} to {gain.high:+.3f} at 95%"
        values.append(("Common tokens", f"{found['token_share_after']:.1%}", note))
    if (seconds := found["seconds"]) is not None:
        values.append(("Time in all", duration(float(seconds)), f"{found['steps']:,} steps"))
    if (seconds := found["step_seconds"]) is not None:
        values.append(("Time of a step", duration(float(seconds)), "median, first steps apart"))
    if (memory := found["peak_memory"]) is not None:
        values.append(("Peak memory", size(float(memory)), "of the process"))
    return page.figures(values)


def _curves(one: Record) -> list[str]:
    history, borders = one.history, pieces.borders(one.history)
    splits = pieces.held_out(history)
    made = []
    for what in in_order(("loss", *history.metrics)):
        training = [
            Line("each batch", one.column("step"), one.column(what), 0, "faint"),
            Line("training, smoothed", one.column("step"), pieces.smoothed(one.column(what)), 0),
        ]
        marks = [
            pieces.evaluation_line(f"{split} split", evaluations, what, tone + 1)
            for tone, (split, evaluations) in enumerate(splits.items())
        ]
        legend = [("training", 0), *((line.name, line.tone) for line in marks)]
        made.append(
            page.figure(metric(what).title, svg.lines([*training, *marks], "step", borders=borders), legend=legend)
        )
    made += pieces.augmentation(one)
    made += pieces.confusion(history)
    layers, steps, values = collect_drift(history, "since_start")
    if values.size:
        plot = svg.heat(values, layers, steps, "step", "drift")
        caption = f"‖W_t − W_0‖ / ‖W_0‖ of each layer that trains, from 0 to {np.nanmax(values):.3g}."
        made.append(page.figure("Drift of the weights", plot, caption))
    made += pieces.gradient_norms([(one, 0)])
    rates = one.column("rate")
    if len(set(rates.tolist())) > 1:
        rate = Line("learning rate", one.column("step"), rates, 0)
        made.append(page.figure("Learning rate", svg.lines([rate], "step", borders=borders)))
    if history.ended_phases:
        made.append(pieces.time_bars([(phase.phase, pieces.spent(phase)) for phase in history.ended_phases]))
    seconds = Line("seconds", one.column("step"), one.column("seconds"), 0)
    caption = "With the wait for data. The first steps of a phase compile what the others run."
    made.append(page.figure("Time of each step", svg.lines([seconds], "step", borders=borders, log=True), caption))
    return made


def _drift_table(one: Record) -> list[str]:
    layers, _, values = collect_drift(one.history, "since_start")
    if not values.size:
        return []
    last = [row[np.isfinite(row)][-1] for row in values]  # layers without a value are left out of them
    rows = [[name, f"{value:.4f}"] for name, value in zip(layers, last, strict=True)]
    return [page.details("Drift of each layer", page.table(["layer", "‖W_t − W_0‖ / ‖W_0‖ at the end"], rows))]


def _samples(one: Record) -> str:
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for sample in one.history.samples:
        when = f"After {sample.step:,} steps" if sample.step else "Before training"
        by_prompt.setdefault(sample.prompt, []).append((when, sample.text))
    return page.grid(page.quotes(f"“{prompt} …”", texts) for prompt, texts in by_prompt.items())


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8", errors="replace")
    except OSError:
        return "not readable any more"


def _footer(one: Record) -> str:
    version = one.facts.get("packages", {}).get("ftapp", "")
    return f"<footer>Run {escape(one.run.folder.name)}, made by ftapp {escape(str(version))}.</footer>"
