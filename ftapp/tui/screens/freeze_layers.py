"""The choice of layers to freeze or unfreeze while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ftapp.common.formatting import format_share
from ftapp.recipe import Recipe, rule_edits
from ftapp.recipe.structure import Structure
from ftapp.runs import commands
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.runs.structure_file import read_structure
from ftapp.tui.editor import layers
from ftapp.tui.editor.layer_tree import LayerTree

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_KEYS = "Space: a layer   a m e n h b: a group   + -: last blocks   u: undo   s: send   Esc: cancel"


class FreezeLayers(ModalScreen[list[str] | None]):
    """A dialog with the layers of a run's model. Its result is rules to add to those in force; None after Escape."""

    DEFAULT_CSS = """
    FreezeLayers #sheet {
        width: 110; max-width: 96%; height: 90%; padding: 1 2; background: $surface; border: round $primary;
    }
    FreezeLayers LayerTree, FreezeLayers LayerTree:focus { height: 1fr; background: $surface; }
    FreezeLayers #share { height: auto; margin-bottom: 1; }
    FreezeLayers #changes { height: auto; max-height: 5; margin-top: 1; }
    FreezeLayers #changes.-wrong { color: $error; }
    FreezeLayers #keys { height: auto; color: $text-muted; margin-top: 1; }
    FreezeLayers.-short #dialog-title, FreezeLayers.-short #share { margin-bottom: 0; }
    FreezeLayers.-short #changes, FreezeLayers.-short #keys { margin-top: 0; }
    FreezeLayers.-short #sheet { height: 100%; padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("s", "send", "Send"),
        Binding("u", "undo", "Undo"),
    ]

    def __init__(self, phase: str, structure: Structure, rules: Sequence[str]) -> None:
        """Make the dialog.

        Args:
            phase: The name of the phase.
            structure: The layers of the model.
            rules: The rules that are in force.
        """
        super().__init__()
        self._phase, self._structure, self._rules = phase, structure, list(rules)
        self._root = layers.build_tree(structure)
        self._now = layers.apply_rules(structure, self._rules)
        self._changes: list[str] = []
        self._choice = self._now

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield Label(f"Layers that train in phase {self._phase}", id="dialog-title", markup=False)
            yield Static(id="share")
            yield LayerTree()
            yield Static(id="changes", markup=False)
            yield Static(_KEYS, id="keys")

    def on_mount(self) -> None:
        self._show()
        self.query_one(LayerTree).focus()

    def _show(self) -> None:
        """Show the layers as they are going to be."""
        self._choice = layers.apply_rules(self._structure, [*self._rules, *self._changes])
        self.query_one(LayerTree).show(self._root, self._choice)
        now, then = format_share(self._now.share), format_share(self._choice.share)
        share = Content.assemble(
            ("R ", "$foreground 60%"),
            (now, "$foreground 60%") if self._changes else (now, "bold $primary"),
            *((" → ", "$foreground 60%"), (then, "bold $primary")) if self._changes else (),
            (f"   {self._choice.trained:,} of {self._choice.parameters:,} parameters train", "$foreground 60%"),
        )
        self.query_one("#share", Static).update(share)
        wrong = None if self._choice.trained else "No layer trains. A phase trains at least one layer."
        changes = self.query_one("#changes", Static)
        changes.set_class(wrong is not None, "-wrong")
        changes.update(wrong or self._describe_changes())

    def _describe_changes(self) -> str:
        if not self._changes:
            return "No change so far."
        return f"From the next step on: {'; '.join(self._changes)}"

    def _add(self, rule: str) -> None:
        self._change([*self._changes, rule])

    def _change(self, changes: Sequence[str]) -> None:
        self._changes = rule_edits.prune_changes(self._rules, changes, self._structure.weighted_layers)
        self._show()

    def _count_last(self) -> int:
        """Count the blocks at the end that are going to train as a whole."""
        return rule_edits.count_last_blocks(self._choice.layers, self._structure.weighted_layers)

    @on(LayerTree.Toggled)
    def _toggle(self, event: LayerTree.Toggled) -> None:
        self._add(self._choice.toggle(event.node))

    @on(LayerTree.GroupToggled)
    def _toggle_group(self, event: LayerTree.GroupToggled) -> None:
        if rule := self._choice.toggle_group(event.group):
            self._add(rule)
        else:
            self.notify(f"This model has no layers of the group {event.group}.")

    @on(LayerTree.Deepened)
    def _deepen(self, event: LayerTree.Deepened) -> None:
        blocks, now = self._structure.blocks, self._count_last()
        if event.by > 0 and now < blocks:
            self._add(f"train last:{now + 1}")
        elif event.by < 0 and now:
            shorter = [f"train last:{now - 1}" if each == f"train last:{now}" else each for each in self._changes]
            self._change([each for each in shorter if each != "train last:0"])
            if self._count_last() == now:
                self._add(f"freeze blocks[{blocks - now}]")
        elif not blocks:
            self.notify("This model has no repeated blocks.")
        else:
            self.notify("All blocks train." if event.by > 0 else "The last block does not train as a whole.")

    def action_undo(self) -> None:
        """Take back the last change."""
        self._changes = self._changes[:-1]
        self._show()

    def action_send(self) -> None:
        """Close the dialog with the changes."""
        if not self._changes:
            self.notify("No layer is changed yet.")
        elif self._choice.trained:
            self.dismiss(self._changes)


def ask_for_layers(
    app: FtApp, run: RunFolder, history: History, recipe: Recipe | None, send: Callable[[commands.AnyCommand], None]
) -> None:
    """Ask which layers of a run's model train from the next step on.

    Args:
        app: Shows the dialog, or why there is none.
        run: The run.
        history: The run so far.
        recipe: Its recipe; None where it cannot be read.
        send: Sends a command to the run.
    """
    if not (recipe and history.phases):
        app.notify("No phase has begun yet.")
        return
    structure = read_structure(run)
    if structure is None:
        app.notify(f"{run.structure_file.name} cannot be read, so the layers are not known.", severity="warning")
        return
    index = [each.name for each in recipe.phase].index(history.phases[-1].phase)
    phase = recipe.phase[index]
    structure = structure.carry_adapters(each.layers for each in recipe.phase[: index + 1])

    def send_all(rules: list[str] | None) -> None:
        for rule in rules or ():
            send(commands.make_layer_command(rule))

    app.push_screen(FreezeLayers(phase.name, structure, [*phase.layers, *history.commanded_rules]), send_all)
