"""The facts that advice rests on, as rows that a terminal or a screen shows."""

from __future__ import annotations

from ftapp.analysis.advice import Advice, format_lead, name_probe
from ftapp.common.formatting import format_quantity
from ftapp.recipe import Recipe, presets
from ftapp.rpc.messages import Survey


def list_facts(recipe: Recipe, survey: Survey, advice: Advice) -> list[tuple[str, str]]:
    """What was found, in rows of a label and a text."""
    few, most = min(survey.counts), max(survey.counts)
    each = format_quantity(most, "training example")
    if few != most:
        each = f"{few:,} to {each}"
    rows = [
        (
            "data",
            f"{recipe.data.source}: {format_quantity(survey.examples, 'example')}, {sum(survey.counts):,} of them to "
            "train on",
        ),
        *([("read", "; ".join(survey.notes))] if survey.notes else []),
        ("model", f"{presets.get_short_name(recipe.model.preset)}, {_read_at(recipe)}"),
        ("classes", f"{len(survey.classes)}, with {each} each"),
        ("size", advice.because[0]),
        ("similarity", advice.because[1]),
    ]
    return [(label, text[0].upper() + text[1:] if label in ("size", "similarity") else text) for label, text in rows]


def name_columns(survey: Survey) -> tuple[str, str, str]:
    """What the columns of `probes` are."""
    return "features of", f"right of {survey.sample:,}", "lead over the last block, points (95%)"


def list_probes(survey: Survey) -> list[tuple[str, str, str]]:
    """The blocks as rows: name, share of the sample told right, and an interval for the lead over the last block."""
    rows = []
    for probe in (*survey.probes, *([survey.head] if survey.head else [])):
        last = probe is survey.probes[-1]
        rows.append((name_probe(probe), f"{probe.right:.1%}", "" if last else format_lead(probe)))
    return rows


def _read_at(recipe: Recipe) -> str:
    if recipe.model.image_size is not None:
        return "images of {1} x {0} pixels".format(*recipe.model.image_size)
    return f"texts of at most {recipe.model.sequence_length} tokens"
