"""The table of facts about a recipe: what it does, what it costs, and how its last run ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from ftapp.common import formatting
from ftapp.experiments.listing import Summary
from ftapp.recipe import Data, Model, Phase, Recipe, Sweep
from ftapp.recipe.layer_rules import Rule
from ftapp.tui import recipe_words
from ftapp.tui.recipe_words import Size
from ftapp.tui.run_columns import describe_results
from ftapp.tui.widgets.facts import Fact

_MUTED = "$foreground-muted"


def list_facts(
    recipe: Recipe, size: Size | None, arms: Mapping[str, Mapping[str, Any]], sweep: Sweep | None = None
) -> list[Fact]:
    """List what a recipe does.

    Args:
        recipe: The recipe, with a profile applied.
        size: The size of its model, if it is known.
        arms: What each arm overrides, by the name of the arm.
        sweep: What `ftapp sweep` tries; None where the recipe does not say.

    Returns:
        Rows of a label and a text: model, data, augmentation, balance of classes, phases, their early end, arms, and
        the sweep.
    """
    rows: list[Fact] = [("Model", _describe_model(recipe.model, size)), ("Data", _describe_data(recipe.data))]
    if recipe.augment is not None:
        rows.append(("Augment", Content(recipe_words.describe_augment(recipe.augment))))
    if words := recipe_words.describe_balance(recipe.balance):
        rows.append(("Balance", Content(words)))
    for index, phase in enumerate(recipe.phase):
        share = size.trainable[index] / size.parameters if size and size.parameters else None
        rows.append(("Phases" if index == 0 else "", _describe_phase(phase, share)))
    if words := recipe_words.describe_end(recipe):
        rows.append(("Ends", Content(words)))
    for index, (name, overridden) in enumerate(recipe_words.describe_arms(arms, recipe).items()):
        rows.append(("Arms" if index == 0 else "", Content.assemble((f"{name}  ", "b"), overridden)))
    if sweep is not None:
        rows.append(("Sweep", Content(recipe_words.describe_sweep(sweep))))
    return rows


def describe_cost(last: Summary | None, note: str | None, disk: str | None) -> Fact:
    """Describe how long a recipe takes with a profile, and how much space on the disk.

    Args:
        last: The last run with the profile on this machine.
        note: What the recipe's file says of the profile.
        disk: What the run downloads and leaves, as `recipe_words.describe_disk` returns it.

    Returns:
        A row of a label and a text.
    """
    duration = "not measured on this machine yet"
    if last is not None and last.status == "done" and last.seconds is not None:
        duration = f"about {formatting.format_duration(last.seconds)}, as the last run"
    elif note:
        duration = note
    return "Takes", Content.assemble(duration, (f"\n{disk or ''}", _MUTED))


def describe_last_run(last: Summary | None, now: float) -> Fact:
    """Describe how the last run of a recipe with a profile ended on this machine.

    Args:
        last: That run, if there is one.
        now: The time, in seconds since 1970.

    Returns:
        A row of a label and a text.
    """
    if last is None:
        return "Last run", Content.styled("not run on this machine yet", _MUTED)
    parts = [last.status, *describe_results(last)]
    if last.seconds is not None:
        parts.append(f"in {formatting.format_duration(last.seconds)}")
    created = f", {formatting.format_moment(last.created, now)}" if last.created else ""
    return "Last run", Content.assemble(", ".join(parts), (created, _MUTED))


def _describe_model(model: Model, size: Size | None) -> Content:
    name, place = recipe_words.describe_model(model.preset)
    words = recipe_words.describe_head(model)
    if size is not None:
        words = f"{formatting.format_count(size.parameters)} parameters, {words}"
    return Content.assemble(name, (f"  {place}\n", _MUTED), (words, _MUTED))


def _describe_data(data: Data) -> Content:
    name, place = recipe_words.describe_data(data.source)
    return Content.assemble(name, (f"  {place}\n", _MUTED), (recipe_words.describe_split(data), _MUTED))


def _describe_phase(phase: Phase, share: float | None) -> Content:
    """Describe a phase with its rules: training rules in the colour of training, freezing rules muted."""
    rules = [
        Content.styled(rule, "$primary" if rule.startswith("train") else _MUTED)
        for rule in phase.layers or [Rule("train all")]
    ]
    return Content.assemble(
        (f"{phase.name}  ", "b"),
        (recipe_words.describe_length(phase), _MUTED),
        "" if share is None else f"  R = {formatting.format_share(share)}",
        "\n",
        Content.styled(" · ", _MUTED).join(rules),
        (f"\n{recipe_words.describe_rate(phase)}", _MUTED),
    )
