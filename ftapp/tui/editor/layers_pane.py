"""The pane of the layers: the trainable share, the costs, the tree to toggle, and the rules as text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea

from ftapp.common import formatting
from ftapp.recipe import rule_edits
from ftapp.recipe.layer_rules import Rule
from ftapp.recipe.structure import Structure
from ftapp.rpc.messages import Costs
from ftapp.tui.editor import layers
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers import AppliedRules, Node
from ftapp.tui.widgets.shallow_classes import update_classes
from ftapp.tui.widgets.texts import set_text, split_lines


class LayersPane(Vertical):
    """Shows the layers of a form's model under the rules of its phase."""

    DEFAULT_CSS = """
    LayersPane > #share { height: 1; }
    LayersPane > #bar { height: 1; margin-bottom: 1; }
    LayersPane > #cost { height: auto; color: $text-muted; margin-bottom: 1; }
    LayersPane > #waiting { height: 1fr; color: $text-muted; }
    LayersPane > LayerTree { height: 1fr; display: none; }
    LayersPane.-known > #waiting { display: none; }
    LayersPane.-known > LayerTree { display: block; }
    LayersPane > #rules { height: auto; max-height: 6; margin-top: 1; background: $surface; padding: 0 1; }
    LayersPane > #rules:focus { background: $panel; }
    LayersPane > #rules-wrong { height: auto; color: $error; display: none; padding: 0 1; }
    LayersPane.-wrong > #rules-wrong { display: block; }
    LayersPane.-stale > LayerTree, LayersPane.-stale > #share, LayersPane.-stale > #bar { opacity: 40%; }
    LayersPane.-stale > #cost, LayersPane > #cost.-stale { opacity: 50%; }
    """

    class Changed(Message):
        """The user changed the rules of the chosen phase."""

        def __init__(self, rules: list[str]) -> None:
            super().__init__()
            self.rules = rules

    def __init__(self) -> None:
        super().__init__(id="layers", classes="pane")
        self.border_title = "Layers"
        self._structure: Structure | None = None
        self._earlier: list[Sequence[Rule]] = []  # the rules of the phases before
        self._root: Node | None = None
        self.choice: AppliedRules | None = None
        self._cost = ""

    def compose(self) -> ComposeResult:
        yield Static(id="share")
        yield Static(id="bar")
        yield Static(id="cost", markup=False)
        yield Static(id="waiting", markup=False)
        yield LayerTree()
        yield TextArea(
            id="rules",
            compact=True,
            highlight_cursor_line=False,
            placeholder="Everything trains. Rules, one a line: freeze attention & first:4",
        )
        yield Static(id="rules-wrong", markup=False)

    def show(self, form: Form, *, keep_typed: bool = True) -> None:
        """Show the rules of the chosen phase.

        Args:
            form: The draft.
            keep_typed: Whether the text that the user types stays.
        """
        area = self.query_one("#rules", TextArea)
        typing = keep_typed and area.has_focus
        if split_lines(area.text) != form.layers and not typing:
            with self.prevent(TextArea.Changed):
                area.load_text("\n".join(form.layers))
        phases = form.recipe.phase if form.recipe else []
        self._earlier = [each.layers for each in itertools.takewhile(lambda each: each.name != form.phase, phases)]
        self.border_title = Content(f"Layers in phase {form.phase}" if len(form.phases) > 1 else "Layers")
        self._decide(form.layers)

    def know(self, structure: Structure) -> None:
        """Show the layers of the model."""
        if structure != self._structure:
            self._structure, self._root = structure, layers.build_tree(structure)
        self._decide(split_lines(self.query_one("#rules", TextArea).text))
        update_classes(self, {"-known": True, "-stale": False})

    def mark_stale(self) -> None:
        """Make the layers faint, since they are of another model."""
        update_classes(self, {"-stale": True})

    def mark_cost_stale(self) -> None:
        """Make the costs faint, since they are of another draft."""
        self.query_one("#cost", Static).add_class("-stale")

    def wait(self, message: str) -> None:
        """Show a message in place of the layers."""
        self._structure = self._root = self.choice = None
        update_classes(self, {"-known": False, "-stale": False})
        self.query_one("#waiting", Static).update(message)
        for name in ("#share", "#bar", "#cost"):
            self.query_one(name, Static).update("")

    def cost(self, costs: Costs | str) -> None:
        """Show what the phase costs, or why the costs are unknown."""
        self._cost = costs if isinstance(costs, str) else describe_costs(costs)
        set_text(self.query_one("#cost", Static), self._cost)
        self.query_one("#cost", Static).remove_class("-stale")

    def timing(self, message: str) -> None:
        """Show the progress of timing steps below the costs; until the layers are known, their own is shown."""
        if self._structure is not None:
            set_text(self.query_one("#cost", Static), "\n".join(filter(None, (self._cost, message))))

    def show_error(self, message: str | None) -> None:
        """Show what is wrong with the rules; None for nothing."""
        update_classes(self, {"-wrong": message is not None})
        set_text(self.query_one("#rules-wrong", Static), message or "")

    def _decide(self, wanted: list[str]) -> None:
        if self._structure is None or self._root is None:
            return
        try:
            choice = layers.apply_rules(self._structure.carry_adapters(self._earlier), wanted)
        except ValueError:
            return  # an unfinished rule; the tree shows the last valid ones
        if self.choice and (choice.structure, choice.layers) == (self.choice.structure, self.choice.layers):
            return
        self.choice = choice
        self.query_one(LayerTree).show(self._root, choice)
        self._tell_rule()
        share = Content.assemble(
            ("R ", "$foreground 60%"),
            (formatting.format_share(choice.share), "bold $primary"),
            (f"   {choice.trained:,} of {choice.parameters:,} parameters train", "$foreground 60%"),
        )
        self.query_one("#share", Static).update(share, layout=False)
        self.call_after_refresh(self._draw_bar)

    def _draw_bar(self) -> None:
        if not self.choice or not self.query("#bar"):  # a screen that is being left has none
            return
        bar = self.query_one("#bar", Static)
        trains = round(self.choice.share * bar.size.width)
        trains = max(trains, 1 if self.choice.trained else 0)
        line = Content.assemble(("━" * trains, "$primary"), ("━" * (bar.size.width - trains), "$border"))
        bar.update(line, layout=False)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_bar)

    @on(LayerTree.NodeHighlighted)
    def _tell_rule(self) -> None:
        """Show which rule decides about the layer under the cursor."""
        node = self.query_one(LayerTree).node
        if node and self.choice:
            rule = self.choice.rule(node.weighted)
            several = len({id(self.choice.deciding[index]) for index in node.weighted}) > 1
            words = rule or ("several rules" if several else "no rule, so it trains")
            self.border_subtitle = Content(f"{node.name}: {words}")

    @on(LayerTree.Toggled)
    def _toggle(self, event: LayerTree.Toggled) -> None:
        if self.choice:
            self._change(self.choice.add(self.choice.toggle(event.node)))

    @on(LayerTree.GroupToggled)
    def _toggle_group(self, event: LayerTree.GroupToggled) -> None:
        if self.choice:
            rule = self.choice.toggle_group(event.group)
            if rule is None:
                self.notify(f"This model has no layers of the group {event.group}.")
            else:
                self._change(self.choice.add(rule))

    @on(LayerTree.Deepened)
    def _deepen(self, event: LayerTree.Deepened) -> None:
        if not self.choice:
            return
        weighted = self.choice.structure.weighted_layers
        now, blocks = rule_edits.count_last_blocks(self.choice.layers, weighted), self.choice.structure.blocks
        if 0 <= now + event.by <= blocks:
            self._change(rule_edits.set_last_blocks(self.choice.layers, now + event.by, weighted))
        elif not blocks:
            self.notify("This model has no repeated blocks.")
        else:
            self.notify("All blocks train." if event.by > 0 else "The last block does not train as a whole.")

    def _change(self, wanted: list[str]) -> None:
        with self.prevent(TextArea.Changed):
            self.query_one("#rules", TextArea).load_text("\n".join(wanted))
        self.post_message(self.Changed(wanted))

    @on(TextArea.Changed, "#rules")
    def _post_rules(self, event: TextArea.Changed) -> None:
        self.post_message(self.Changed(split_lines(event.text_area.text)))


def describe_costs(costs: Costs) -> str:
    """Describe the costs of a phase: time and memory, the cached outputs of frozen layers, and what int8 would save."""
    parts = []
    if costs.step is not None:
        about = "" if costs.basis == "measured" else "about "
        parts.append(f"a step {about}{format_step_time(costs.step)}")
        if costs.steps is not None:
            steps = formatting.format_quantity(costs.steps, "step")
            parts.append(f"{steps} {about}{formatting.format_duration(costs.step * costs.steps)}")
    elif costs.estimate:
        parts.append(f"a step {formatting.format_flops(costs.estimate.flops)}")
    if costs.estimate:
        most = "at most " if costs.is_most else ""
        parts.append(f"memory {most}{formatting.format_size(costs.estimate.memory)}{costs.estimate.where}")
    lines = [" · ".join(parts)] if parts else []
    if costs.choice and costs.choice.cached:
        kept = f"cached: output of {costs.choice.layers[-1]}, {formatting.format_size(costs.choice.size)}"
        lines.append(f"{kept}; {costs.choice.reason}")
    elif costs.choice:
        lines.append(f"no cached features: {costs.choice.reason}")
    elif costs.data_error:
        lines.append("the cached features depend on the data, which are not there yet")
    if costs.int8_saves:
        saved = formatting.format_duration(costs.int8_saves)
        lines.append(f"int8 would save about {saved}: engine = openvino, cached as = int8")
    return "\n".join(lines)


def format_step_time(value: float) -> str:
    """Format seconds in milliseconds or seconds."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
