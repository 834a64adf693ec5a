"""Plans and advice as their readers see them in a terminal: trees of layers with what trains, tables of facts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ftapp.analysis import advice
from ftapp.analysis.advice import Advice, Course, Note
from ftapp.common import formatting
from ftapp.common.formatting import class_counts, duration, flops, size
from ftapp.recipe import Recipe
from ftapp.rpc.messages import Survey


@dataclass
class _Node:
    """A layer, or a layer with those inside: the rows of the plan that lie in it."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


def rendered(plan: Mapping[str, Any]) -> Group:
    """The whole plan, as `ftapp.workers.planner` prints it in JSON."""
    examples = ", ".join(f"{count:,} {name}" for name, count in plan["examples"].items())
    head = Text(f"{plan['precision']}: {plan['reason']}\nexamples: {examples}")
    if plan["classes"]:
        head.append(f"\nclasses: {class_counts(plan['classes'], plan['counts'])}")
    head.append("".join(f"\n{note}" for note in plan["data_notes"]))
    for each in plan["warnings"]:
        head.append(f"\ncaution: {each['says']}; {each['advice']}", "yellow")
    return Group(head, *(part for phase in plan["phases"] for part in _phase(phase)))


def advised(
    recipe: Recipe, survey: Survey, given: Advice, command: Callable[[Course], str]
) -> Iterator[RenderableType]:
    """Advice on a recipe's data: the facts, the strategy with its command, what to mind, and the method."""
    yield _table(dict(advice.facts(recipe, survey, given)))
    probes = Table(*advice.columns(survey), box=box.SIMPLE_HEAD)
    for row in advice.probes(survey):
        probes.add_row(*map(Text, row))
    if survey.probes:
        yield probes
    yield Text.assemble(("Advice: ", "bold"), (given.best.strategy, "bold green"), f". {given.best.reason}\n")
    yield Text(f"  {command(given.best)}\n", "cyan", no_wrap=True, overflow="ignore")
    for other in given.others:
        yield Text.assemble("It is a close call. Also worth a run: ", (other.strategy, "bold"), ".\n")
        yield Text(f"  {command(other)}\n", "cyan", no_wrap=True, overflow="ignore")
    for note in given.notes:
        yield Text(f"Note: {note_words(note)}\n")
    yield Text(advice.METHOD, "dim")


def note_words(note: Note) -> str:
    """A note with the override that makes the change it speaks of."""
    if note.change is None:
        return note.text
    key, value = note.change
    override = shlex.quote(f"{key}={'' if value is None else json.dumps(value)}")
    return f"{note.text} (--set {override})"


def _table(rows: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))
    return table


def _phase(phase: Mapping[str, Any]) -> list[Any]:
    trains = f"{phase['trainable']:,} of {phase['parameters']:,} parameters train"
    share = f"{trains}, R = {formatting.share(phase['trainable_share'])}"
    tree = Tree(Text.assemble("\n", (f"phase {phase['name']}", "bold"), f": {share}"))
    top = _Node()
    for row in phase["layers"]:
        node = top
        node.rows.append(row)
        for part in row["path"].split("/"):
            node = node.children.setdefault(part, _Node())
            node.rows.append(row)
    _grow(tree, top)
    costs, cache = phase["estimate"], phase["cache"]
    rows = {"length": f"{phase['steps']:,} steps, {phase['epochs']:.3g} epochs"}
    if "flops" in costs:
        saved = 1 - costs["flops"] / costs["flops_uncut"] if costs["flops_uncut"] else 0
        parts = {name: costs[name] for name in ("weights", "gradients", "optimizer", "activations")}
        listed = ", ".join(f"{name} {size(count)}" for name, count in parts.items())
        rows["a step"] = flops(costs["flops"]) + (f", {saved:.0%} saved by the cache" if saved else "")
        rows["memory"] = f"{size(sum(parts.values()))}: {listed}"
    rows["cache"] = f"none: {cache['reason']}"
    if cache["cached"]:
        rows["cache"] = f"{size(cache['size'])} for the output of {cache['layers'][-1]}; {cache['reason']}"
    rows["time"] = (
        f"about {duration(costs['seconds'])}: features {duration(costs['features_seconds'])}, "
        f"a step {duration(costs['step_seconds'])}, an evaluation {duration(costs['evaluation_seconds'])}"
    )
    return [tree, _table(rows)]


def _grow(tree: Tree, node: _Node) -> None:
    """Hang the children of a node into a tree; those of one decision throughout stay closed."""
    for name, child in node.children.items():
        decided = {(row["trainable"], row["rule"]) for row in child.rows}
        count = sum(row["parameters"] for row in child.rows)
        if len(decided) == 1:
            trains, rule = decided.pop()
            style = "green" if trains else "dim"
            label = Text.assemble((f"{'trains' if trains else 'frozen'}  {name}", style), f"  {count:,}")
            tree.add(label.append(f"  {rule or 'no rule'}", "dim italic"))
        else:
            _grow(tree.add(Text.assemble((name, "bold"), f"  {count:,}")), child)
