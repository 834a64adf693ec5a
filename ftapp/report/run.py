"""The report of one run: `report.html` in its folder."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from ftapp.analysis.records import Record, collect_drift, measure_run, measure_token_share_gain
from ftapp.common import formatting
from ftapp.common.durable import replace_file
from ftapp.common.formatting import format_duration, format_size
from ftapp.common.safe_files import read_bytes
from ftapp.recipe.metrics import get_metric, sort_names
from ftapp.report import card, color_maps, examples, page, pieces, svg
from ftapp.report.svg import Line
from ftapp.runs import annotation
from ftapp.runs.baselines import find_baseline
from ftapp.runs.narration import describe_best, describe_interventions


def write(one: Record, output: Path | None = None, most_examples: int = examples.MOST) -> Path:
    """Write the run's report and model card into its folder, and return the report's path.

    output: the report's file, in place of the one in the folder. most_examples: test examples that it shows; 0 for
    none. Raises OSError.
    """
    path = output or one.run.report_file
    replace_file(path, page.build_page(one.title, build_body(one, most_examples)).encode())
    card.write(one)
    return path


def build_body(one: Record, most_examples: int = examples.MOST) -> list[str]:
    """The page of a run, section by section. most_examples: as in `write`."""
    history = one.history
    parts = [_build_header(one)]
    if note := annotation.load(one.run.folder).note:
        parts.append(page.build_list("soft", note.splitlines()))
    parts.append(_build_figures(one))
    if history.data and history.data.classes:
        counted = formatting.format_class_counts(history.data.classes, history.data.counts)
        parts.append(f'<p class="soft">Classes: {escape(counted)}</p>')
    if history.data and history.data.notes:
        parts.append(f'<p class="soft">Data: {escape("; ".join(history.data.notes))}</p>')
    if damage := one.run.damage() or history.damage():
        parts.append(f'<p class="bad">{escape(f"The files of the run are damaged: {damage}.")}</p>')
    if history.ended and history.ended.error:
        parts.append(f'<p class="bad">{escape(history.ended.error)}</p>')
    if minded := pieces.list_warnings(one):
        parts.append(page.build_list("bad", minded))
    if steered := describe_interventions(history):
        parts.append(f'<p class="soft">{escape(f"While it trained: {steered}.")}</p>')
    if history.notes:
        parts.append(page.build_list("soft", dict.fromkeys(f"Note: {note.message}" for note in history.notes)))
    if len(history.steps):
        parts += [page.build_heading("Training"), page.build_grid(_draw_curves(one))]
    parts += examples.show_examples(one, most_examples)
    if history.samples:
        parts += [page.build_heading("Samples"), _show_samples(one)]
    if history.phases:
        header, *rows = pieces.tabulate_phases(history)
        parts += [page.build_heading("Planned and spent"), page.build_table(header, rows)]
    if history.ended_phases:
        parts += [
            page.build_heading("Freeze proof"),
            "".join(f"<p>{escape(proof)}</p>" for proof in pieces.describe_phase_proofs(history)),
        ]
    parts += [
        page.build_heading("To do it again"),
        page.build_code("\n".join(pieces.list_commands(one)), wrap=True),
        '<p class="soft">The same recipe, seed, machine and backend give the same losses on a CPU.</p>',
        *_build_drift_table(one),
        *(
            page.build_details(
                f"Layers that train in phase {phase.phase}", page.build_code("\n".join(phase.trainable_layers))
            )
            for phase in history.phases
        ),
        page.build_details("Recipe, resolved", page.build_code(_show_text(one.run.recipe_file))),
        page.build_details("Machine and versions", pieces.describe_environment(one.facts)),
        _build_footer(one),
    ]
    return parts


def _build_header(one: Record) -> str:
    summary = str(one.settings.get("summary", ""))
    kind = "done" if one.status == "done" else "bad" if one.status in ("failed", "crashed", "refused") else ""
    facts = "".join(f"<span>{escape(fact)}</span>" for fact in pieces.list_facts(one) if fact)
    return (
        f'<header><h1>{escape(one.title)}</h1><p class="summary">{escape(summary)}</p>'
        f'<div class="facts"><span class="status {kind}">{escape(one.status)}</span>{facts}</div></header>'
    )


def _build_figures(one: Record) -> str:
    found, result, baseline = measure_run(one), one.history.result, find_baseline(one.history)
    values: list[tuple[str, str, str]] = []
    if result:
        examples = formatting.format_quantity(result.examples, "held-out example")
        for measured, value in ((get_metric(name), value) for name, value in result.metrics.items()):
            beside = ""
            if baseline and measured.name in baseline.metrics:
                beside = f"; {baseline.answer}: {measured.format_cell(baseline.metrics[measured.name])}"
            quantized = result.quantized.get(measured.name)
            on_int8 = f"; {measured.format_cell(quantized)} on int8 features" if quantized is not None else ""
            note = f"of {examples}{on_int8}{beside}"
            values.append((f"Test {measured.label}", measured.format_cell(value), note))
        on_int8 = f"; {result.quantized['loss']:.4g} on int8 features" if "loss" in result.quantized else ""
        values.append(("Test loss", f"{result.loss:.4g}", f"on {examples}{on_int8}"))
    if kept := one.history.kept:
        note = (
            f"of {formatting.format_quantity(len(one.history.steps), 'step')}; {describe_best(kept.metric, kept.value)}"
        )
        values.append(("Weights of step", f"{kept.best_step:,}", note))
    if one.history.phases:
        last = one.history.phases[-1]
        note = f"{last.trainable:,} of {last.parameters:,} parameters, phase {last.phase}"
        values.append(("Trainable share R", formatting.format_share(last.trainable / last.parameters), note))
    if (gain := measure_token_share_gain(one)) is not None:
        note = f"from {found['token_share_before']:.1%}; Δp {gain.low:+.3f} to {gain.high:+.3f} at 95%"
        values.append(("Common tokens", f"{found['token_share_after']:.1%}", note))
    if (seconds := found["seconds"]) is not None:
        values.append(
            ("Time in all", format_duration(float(seconds)), formatting.format_quantity(len(one.history.steps), "step"))
        )
    if (seconds := found["step_seconds"]) is not None:
        values.append(("Time of a step", format_duration(float(seconds)), "median, first steps apart"))
    if (memory := found["peak_memory"]) is not None:
        values.append(("Peak memory", format_size(float(memory)), "of the process"))
    return page.lay_out_figures(values)


def _draw_curves(one: Record) -> list[str]:
    history, borders = one.history, pieces.find_phase_borders(one.history)
    splits, steps = pieces.split_evaluations(history), one.column("step")
    made = []
    for what in sort_names(("loss", *history.metrics)):
        training = [
            Line("each batch", steps, one.column(what), 0, "faint"),
            Line("training, smoothed", steps, pieces.smooth(one.column(what)), 0),
        ]
        marks = [
            pieces.draw_evaluations(f"{split} split", evaluations, what, tone + 1)
            for tone, (split, evaluations) in enumerate(splits.items())
        ]
        legend = [("training", 0), *((line.name, line.tone) for line in marks)]
        made.append(
            page.build_figure(
                get_metric(what).title, svg.draw_lines([*training, *marks], "step", borders=borders), legend=legend
            )
        )
    made += pieces.show_augmentation(one)
    made += pieces.build_confusion(history)
    made += pieces.build_set_scores(history)
    made += pieces.draw_comparison(history)
    layers, places, values = collect_drift(history, "since_start")
    if values.size:
        plot = color_maps.draw_heat(values, layers, places, "step", "drift")
        caption = f"‖W_t − W_0‖ / ‖W_0‖ of each layer that trains, from 0 to {np.nanmax(values):.3g}."
        made.append(page.build_figure("Drift of the weights", plot, caption))
    made += pieces.draw_gradient_norms([(one, 0)])
    rates = one.column("rate")
    if (rates != rates[0]).any():
        rate = Line("learning rate", steps, rates, 0)
        made.append(page.build_figure("Learning rate", svg.draw_lines([rate], "step", borders=borders)))
    if history.ended_phases:
        made.append(pieces.draw_time_bars([(phase.phase, pieces.split_time(phase)) for phase in history.ended_phases]))
    seconds = Line("seconds", steps, one.column("seconds"), 0)
    caption = "With the wait for data. The first steps of a phase compile what the others run."
    made.append(
        page.build_figure("Time of each step", svg.draw_lines([seconds], "step", borders=borders, log=True), caption)
    )
    return made


def _build_drift_table(one: Record) -> list[str]:
    layers, steps, values = collect_drift(one.history, "since_start")
    if kept := one.history.kept:
        values = values[:, steps <= kept.best_step]
    if not values.size:
        return []
    known = [(name, row[np.isfinite(row)]) for name, row in zip(layers, values, strict=True)]
    rows = [[name, f"{row[-1]:.4f}"] for name, row in known if len(row)]
    return [
        page.build_details("Drift of each layer", page.build_table(["layer", "‖W_t − W_0‖ / ‖W_0‖ at the end"], rows))
    ]


def _show_samples(one: Record) -> str:
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for sample in one.history.samples:
        when = f"After {formatting.format_quantity(sample.step, 'step')}" if sample.step else "Before training"
        by_prompt.setdefault(sample.prompt, []).append((when, sample.text))
    return page.build_grid(page.build_quotes(f"“{prompt} …”", texts) for prompt, texts in by_prompt.items())


def _show_text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8", errors="replace")
    except OSError:
        return "not readable any more"


def _build_footer(one: Record) -> str:
    version = one.facts.get("packages", {}).get("ftapp", "")
    return f"<footer>Run {escape(one.run.folder.name)}, made by ftapp {escape(str(version))}.</footer>"
