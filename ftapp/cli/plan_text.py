"""A plan as it is read in a terminal: for each phase a tree of the layers that train, and a table of costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Group
from rich.text import Text
from rich.tree import Tree

from ftapp.cli.fact_table import make_fact_table
from ftapp.common import formatting
from ftapp.common.formatting import format_class_counts, format_duration, format_flops, format_size
from ftapp.runs.narration import describe_engine
from ftapp.runs.phase_events import CacheChoice

_LONG = 1.0  # seconds; the time of data that are read sooner is of no interest


@dataclass
class _Node:
    """A layer, or a layer with those inside: the rows of the plan that lie in it."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    children: dict[str, _Node] = field(default_factory=dict)


def render_plan(plan: Mapping[str, Any]) -> Group:
    """Return the whole plan as trees and tables.

    Args:
        plan: As `ftapp plan --json` prints it.
    """
    examples = ", ".join(f"{count:,} {name}" for name, count in plan["examples"].items())
    head = Text(f"{plan['precision']}: {plan['reason']}\nexamples: {examples}")
    if (reading := plan["reading"]) and reading["seconds"] >= _LONG:
        head.append(f"\nreading the data: {format_duration(reading['seconds'])}")
        head.append(f", {format_size(reading['memory'])} of memory")
        if reading["check_seconds"] >= _LONG:
            images = formatting.format_quantity(reading["checked"], "new image")
            head.append(
                f"; {format_duration(reading['check_seconds'])} to check {images}, which a run does not check again"
            )
    if plan["classes"]:
        head.append(f"\nclasses: {format_class_counts(plan['classes'], plan['counts'])}")
    head.append("".join(f"\n{note}" for note in plan["data_notes"]))
    for each in plan["warnings"]:
        head.append(f"\ncaution: {each['says']}; {each['advice']}", "yellow")
    return Group(head, *(part for phase in plan["phases"] for part in _render_phase(phase, plan)))


def _render_phase(phase: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Any]:
    trains = f"{phase['trainable']:,} of {phase['parameters']:,} parameters train"
    share = f"{trains}, R = {formatting.format_share(phase['trainable_share'])}"
    if phase["adapters"]:
        share += f"; {phase['adapters']:,} of them in adapters"
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
    most = "at most " if phase["may_end_early"] else ""
    steps, epochs = (formatting.format_quantity(phase[f"{unit}s"], unit) for unit in ("step", "epoch"))
    rows = {"length": f"{most}{steps}, {epochs}"}
    if "flops" in costs:
        saved = 1 - costs["flops"] / costs["flops_uncut"] if costs["flops_uncut"] else 0
        parts = {name: costs[name] for name in ("weights", "gradients", "optimizer", "activations")}
        devices = costs["devices"]
        listed = ", ".join(f"{name} {format_size(count)}" for name, count in parts.items())
        rows["a step"] = format_flops(costs["flops"]) + (f", {saved:.0%} saved by the cache" if saved else "")
        rows["memory"] = f"{format_size(sum(parts.values()))}: {listed}"
        rows["memory"] += f"; on each of {devices} devices" if devices > 1 else ""
    rows["cache"] = f"none: {cache['reason']}"
    if cache["cached"]:
        rows["cache"] = f"{format_size(cache['size'])} on disk for the output of {cache['layers'][-1]}"
        rows["cache"] += f", {format_size(plan['free'])} are free; {cache['reason']}"
        rows["cache"] += describe_engine(msgspec.convert(cache, CacheChoice))
    if phase["int8_saves"]:
        rows["int8"] = (
            f"saves about {format_duration(phase['int8_saves'])}: --set frozen.engine=openvino --set frozen.dtype=int8"
        )
    rows["time"] = (
        f"{most}about {format_duration(costs['seconds'])}: features {format_duration(costs['features_seconds'])}, "
        f"a step {format_duration(costs['step_seconds'])}, an evaluation {format_duration(costs['evaluation_seconds'])}"
    )
    return [tree, make_fact_table(rows)]


def _grow(tree: Tree, node: _Node) -> None:
    """Hang the children of a node into a tree; those of one decision throughout stay closed."""
    for name, child in node.children.items():
        decided = {(row["trainable"], row["rule"]) for row in child.rows}
        count = sum(row["parameters"] for row in child.rows)
        trained = sum(row["trained"] for row in child.rows)
        if len(decided) == 1:
            trains, rule = decided.pop()
            style = "green" if trains else "dim"
            label = Text.assemble(
                (f"{'trains' if trains else 'frozen'}  {name}", style),
                f"  {trained:,} of {count:,}" if 0 < trained < count else f"  {count:,}",
            )
            tree.add(label.append(f"  {rule or 'no rule'}", "dim italic"))
        else:
            _grow(tree.add(Text.assemble((name, "bold"), f"  {count:,}")), child)
