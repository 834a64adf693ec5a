"""The model card of a run, in Markdown: what the model is, what it was trained on, and what is known of it.

After Mitchell et al. 2019, "Model Cards for Model Reporting": it states what the run measured, and says of what it did
not measure that it did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftapp.analysis.records import Record
from ftapp.common.durable import replace_file
from ftapp.common.formatting import format_class_counts, format_quantity
from ftapp.recipe import TASKS
from ftapp.recipe.metrics import get_metric
from ftapp.recipe.templates import make_template
from ftapp.recipe.toml_text import format_value
from ftapp.report import pieces
from ftapp.report.card_header import describe_interval, estimate_shares, make_header
from ftapp.report.markdown import escape_text, format_block, format_code, format_quote
from ftapp.runs import class_results
from ftapp.runs.baselines import find_baseline
from ftapp.runs.narration import describe_best

FILE = "MODEL_CARD.md"


def write(one: Record) -> Path:
    """Write the card into the run's folder and return its path."""
    path = one.run.folder / FILE
    replace_file(path, f"{make_header(one)}\n{write_card_text(one)}".encode())
    return path


def write_card_text(one: Record, use: Sequence[str] | None = None) -> str:
    """The card's text.

    Args:
        one: The run.
        use: Lines about how the model is used, where the card lies beside another form of it than the run's own.
    """
    history, settings = one.history, one.settings
    result, data = history.result, history.data
    preset = str(settings.get("model.preset", "unknown"))
    lines = [
        f"# {escape_text(one.title)}",
        "",
        escape_text(str(settings.get("summary", ""))),
        "",
        "## Model",
        "",
        f"- Task: {escape_text(str(settings.get('task', 'unknown')))}",
        f"- Fine-tuned from: {format_code(preset)}, which keeps its own licence and limits",
    ]
    if history.model:
        lines.append(f"- Parameters: {history.model.parameters:,}")
    if data and data.classes:
        lines.append(f"- Classes: {escape_text(format_class_counts(data.classes, data.counts))}")
    task = TASKS.get(str(settings.get("task")))
    if task and task.labels == "completions":
        template = make_template(settings.get("data.template"), is_chat="data.chat_column" in settings)
        lines.append(f"- Template of prompts: {format_code(format_value(template.text))}")
    if any(phase.adapters for phase in history.phases):
        lines.append("- Low-rank adapters (LoRA) were trained and are merged into the kernels")
    if one.status != "done":
        lines.append(f"- **The run is {one.status}: this is not a finished model.**")
    lines += ["", "## Data", "", f"- Source: {format_code(str(settings.get('data.source', 'unknown')))}"]
    if data:
        lines.append(f"- Examples: {data.train:,} to train, {data.validation:,} to validate, {data.test:,} to test")
        lines.append(f"- Duplicates that were dropped: {data.duplicates:,}")
        lines += [f"- {note[0].upper()}{note[1:]}" for note in data.notes]
    header, *rows = pieces.tabulate_phases(history)
    lines += ["", "## Training", "", f"| {' | '.join(map(escape_text, header))} |", "|---" * len(header) + "|"]
    lines += [f"| {' | '.join(map(escape_text, row))} |" for row in rows]
    lines += ["", *(f"- {escape_text(proof)}" for proof in pieces.describe_phase_proofs(history))]
    if kept := history.kept:
        steps, why = len(history.steps), describe_best(kept.metric, kept.value)
        lines.append(f"- The weights are those of step {kept.best_step:,} of {steps:,}: {why}")
    lines += ["", "## Evaluation", ""]
    if result:
        lines.append(
            f"On {format_quantity(result.examples, 'example')} of the same source that the model did not train on:"
        )
        lines.append("")
        bounds = estimate_shares(result)
        lines += [
            f"- {escape_text(get_metric(name).title)}: {get_metric(name).format_text(value)}"
            + (f" ({describe_interval(get_metric(name), bounds[name])})" if name in bounds else "")
            for name, value in result.values.items()
        ]
        if baseline := find_baseline(history):
            pairs = ((get_metric(name), value) for name, value in baseline.metrics.items())
            shares = ", ".join(f"{each.label} {each.format_text(value)}" for each, value in pairs)
            lines.append(f"- A constant answer, {escape_text(baseline.answer)}: {shares}")
        recalls = class_results.count_recalls(history)
        if class_results.is_uneven(recalls):
            lines.append(f"- Found of each class: {', '.join(map(str, recalls))}")
        lines += [
            "",
            "Nothing was measured on data of another source, on subgroups, or against misuse. Measure before you rely "
            "on it there.",
        ]
    else:
        lines.append("The run did not measure its test split.")
    if minded := pieces.list_warnings(one):
        lines += ["", *(f"- **{each}**" for each in minded)]
    if history.samples:
        lines += ["", "## Samples", ""]
        for sample in history.samples:
            lines += [f"- After {format_quantity(sample.step, 'step')}:", "", *format_quote(sample.text, "  "), ""]
    lines += [
        "",
        "## To use it",
        "",
        *(_show_use(one) if use is None else use),
        "",
        "## To make it again",
        "",
        *format_block("sh", pieces.list_commands(one)),
        "",
    ]
    return "\n".join(lines)


def _show_use(one: Record) -> list[str]:
    task = TASKS.get(str(one.settings.get("task")))
    asked = "print(trained.predict(examples))  # texts, image files, or RGB arrays in 0..255"
    if task and task.writes:
        asked = 'print(trained.generate(["Once upon a time"], tokens=40))'
    return [
        "```python",
        "import ftapp",
        "",
        f'trained = ftapp.load_model("{one.run.model_folder.name}")',
        asked,
        "```",
    ]
