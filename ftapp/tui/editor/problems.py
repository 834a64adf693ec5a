"""What is wrong with a draft, and marks at the fields and panes that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widget import Widget
from textual.widgets import Tab

from ftapp.common.errors import Problem
from ftapp.recipe.rule_problems import find_phase_problems
from ftapp.recipe.structure import Structure
from ftapp.tui.editor import edits, sweep_edits
from ftapp.tui.editor.draft import OVER
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.panes import TITLES
from ftapp.tui.editor.sweep_section import SweepSection


def find_problems(form: Form, structure: Structure | None) -> list[Problem]:
    """Find the reasons why a draft cannot run.

    Args:
        form: The draft.
        structure: The layers of its model, if they are known.

    Returns:
        The problems of its keys, and of rules that match no layer of the model.
    """
    found = list(form.problems)
    if structure and form.recipe:
        found += [Problem("", *each) for each in find_phase_problems(form.recipe.phase, structure.weighted_layers)]
        found += sweep_edits.find_unfit_rules(form.search, structure)
    return found


def mark_problems(screen: Widget, fields: Sequence[FieldLine], form: Form, problems: Sequence[Problem]) -> None:
    """Show each problem at its field, and mark the tabs of the panes that have one.

    Args:
        screen: Holds the panes and tabs.
        fields: The fields on it.
        form: The draft, whose arm decides which problems are shown.
        problems: As `find_problems` returns them.
    """
    here = [problem for problem in problems if edits.find_arm(problem) in (None, form.arm)]
    lines = {form.key(line.field.key): line for line in fields}
    rules_key, phase_key = form.key("phase.layers"), f"phase.{form.phase}"
    messages, _ = edits.assign_problems(here, [*lines, rules_key, phase_key])
    # A problem of a phase as a whole is one of its length.
    if whole := messages.pop(phase_key, None):
        messages.setdefault(form.key("phase.epochs"), whole)
    for key, line in lines.items():
        line.show_error(messages.get(key))
    screen.query_one(LayersPane).show_error(messages.get(rules_key))
    over = [each for each in here if each.key == sweep_edits.KEY or each.key.startswith(OVER)]
    screen.query_one(SweepSection).show_error("\n".join(map(_describe_values, over)))
    marked = {each.id for line in fields if line.message for each in line.ancestors}
    marked |= {"training"} if over else set()
    for name in TITLES:
        wrong = (
            name in marked or (name == "training" and over) or screen.query_one(f"#panes > #{name}").has_class("-wrong")
        )
        screen.query_one(f"#tabs Tab#{name}", Tab).set_class(bool(wrong), "-wrong")


def describe_problem(problem: Problem) -> str:
    """Describe a problem in one line: its arm, its key and the message."""
    return ": ".join(filter(None, (edits.find_arm(problem), problem.key, problem.message)))


def _describe_values(problem: Problem) -> str:
    """Describe a problem of values to try: their key, and the message."""
    return ": ".join(filter(None, (problem.key.removeprefix(sweep_edits.KEY).removeprefix("."), problem.message)))
