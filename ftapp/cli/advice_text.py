"""Advice as it is read in a terminal: the facts, the strategy with its command, notes, and the method."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ftapp.analysis import advice
from ftapp.analysis.advice import Advice, Note, Recommendation
from ftapp.analysis.advice_table import list_facts, list_probes, name_columns
from ftapp.cli.fact_table import make_fact_table
from ftapp.recipe import Recipe
from ftapp.rpc.messages import Survey


def render_advice(
    recipe: Recipe, survey: Survey, given: Advice, command: Callable[[Recommendation], str]
) -> Iterator[RenderableType]:
    """Yield the parts of advice on a recipe's data, in the order in which they are printed.

    Args:
        recipe: The recipe that was asked about.
        survey: What its pretrained model tells of the data.
        given: The advice.
        command: Makes the command line of a recommendation.
    """
    yield make_fact_table(dict(list_facts(recipe, survey, given)))
    probes = Table(*name_columns(survey), box=box.SIMPLE_HEAD)
    for row in list_probes(survey):
        probes.add_row(*map(Text, row))
    if survey.probes:
        yield probes
    yield Text.assemble(("Advice: ", "bold"), (given.best.strategy, "bold green"), f". {given.best.reason}\n")
    yield Text(f"  {command(given.best)}\n", "cyan", no_wrap=True, overflow="ignore")
    for other in given.others:
        yield Text.assemble("It is a close call. Also worth a run: ", (other.strategy, "bold"), ".\n")
        yield Text(f"  {command(other)}\n", "cyan", no_wrap=True, overflow="ignore")
    for note in given.notes:
        yield Text(f"Note: {describe_note(note)}\n")
    yield Text(advice.METHOD, "dim")


def describe_note(note: Note) -> str:
    """Return a note with the override that makes the change it proposes."""
    if note.change is None:
        return note.text
    key, value = note.change
    override = shlex.quote(f"{key}={'' if value is None else json.dumps(value)}")
    return f"{note.text} (--set {override})"
