"""The layers of a model as a tree, with marks for trainable layers and columns for sizes, shapes and rules."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from ftapp.tui.editor.layers import AppliedRules, Node, State

_MARKS = {State.TRAINS: "● ", State.PARTLY: "◐ ", State.FROZEN: "○ "}
_SIZE, _SHAPE, _RULE = 12, 14, 28  # columns
_NAMES = 34  # columns that names are to have beside all others
_SMALL = 24  # layers with weights, up to which all of the tree begins open
_GROUPS = {
    "a": "attention",
    "m": "mlp",
    "e": "embeddings",
    "n": "norms",
    "p": "pooler",
    "h": "head",
    "b": "backbone",
    "asterisk": "all",
}


class LayerTree(Tree[Node]):
    """Shows the layers of a model, and posts what the user toggles. `show` then takes the new rules."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"layer--trains", "layer--frozen", "layer--aside"}
    DEFAULT_CSS = """
    LayerTree { scrollbar-size: 0 1; }
    LayerTree:focus { background-tint: $background 0%; }
    LayerTree > .layer--trains { color: $primary; }
    LayerTree > .layer--frozen, LayerTree > .layer--aside { color: $foreground 50%; }
    LayerTree > .tree--guides, LayerTree:focus > .tree--guides { color: $border; }
    LayerTree > .tree--guides-selected, LayerTree:focus > .tree--guides-selected { color: $border; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_layer", "Toggle", tooltip="Train or freeze the layer"),
        Binding("enter", "toggle_node", "Open or close", show=False),
        Binding("right", "open", "Open", show=False),
        Binding("left", "close", "Close", show=False),
        Binding("a", "toggle_group('attention')", "Groups", key_display="a m e h", tooltip="Attention"),
        *(
            Binding(key, f"toggle_group('{group}')", group.capitalize(), show=False)
            for key, group in _GROUPS.items()
            if key != "a"
        ),
        Binding(
            "plus,equals_sign", "deepen(1)", "Last N", key_display="+ -", tooltip="Train one more of the last blocks"
        ),
        Binding("minus", "deepen(-1)", "Train one fewer of the last blocks", show=False),
    ]

    class Toggled(Message):
        """The user toggled a layer with all layers inside."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    class GroupToggled(Message):
        """The user toggled a component group."""

        def __init__(self, group: str) -> None:
            super().__init__()
            self.group = group

    class Deepened(Message):
        """The user wants more of the last blocks to train; fewer where `by` is negative."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self) -> None:
        super().__init__("model")
        self.guide_depth = 2
        self.auto_expand = False
        self._root: Node | None = None
        self._choice: AppliedRules | None = None

    def show(self, root: Node, choice: AppliedRules) -> None:
        """Show the layers of a model under some rules. Open layers stay open while the model is the same.

        Args:
            root: The tree of the layers.
            choice: The applied rules.
        """
        self._choice = choice
        if root is not self._root:
            self._root = root
            self._hang(root)
            self.cursor_line = 0
        self._invalidate()

    @property
    def node(self) -> Node | None:
        """The layer under the cursor."""
        return self.cursor_node.data if self.cursor_node else None

    def _hang(self, root: Node) -> None:
        self.reset(root.name, root)
        small = len(root.weighted) <= _SMALL

        def grow(tree: TreeNode[Node], node: Node) -> None:
            for child in node.children:
                if child.children:
                    # What holds blocks begins open, the blocks themselves closed.
                    holds_blocks = child.block is None and any(each.block is not None for each in child.children)
                    grow(tree.add(Text(child.name), child, expand=small or holds_blocks), child)
                else:
                    tree.add_leaf(Text(child.name), child)

        grow(self.root, root)
        self.root.expand()

    def render_label(self, node: TreeNode[Node], base_style: Style, style: Style) -> Text:
        layer, choice = node.data, self._choice
        if layer is None or choice is None:
            return Text(str(node.label), style)
        state = choice.state(layer.weighted)
        aside, frozen, trains = (
            style + Style(color=self.get_component_rich_style(f"layer--{name}").color)
            for name in ("aside", "frozen", "trains")
        )
        icon = "  " if not node.allow_expand else self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        depth = -1
        parent: TreeNode[Node] | None = node
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        all_of_it = self.scrollable_content_region.width
        width = max(24, all_of_it - self.guide_depth * depth)
        columns: list[tuple[str, Style]] = [(f"{layer.parameters:,}".rjust(_SIZE), aside)]
        if all_of_it >= _SIZE + _SHAPE + 28:
            columns.append(("×".join(map(str, layer.shape or ())).rjust(_SHAPE), aside))
        if (spare := min(_RULE, all_of_it - _NAMES - _SIZE - _SHAPE)) >= _RULE // 2:
            columns.append(("  " + _fit(choice.rule(layer.weighted), spare - 2), aside))
        room = width - sum(len(text) for text, _ in columns) - len(icon) - 2
        return Text.assemble(
            (icon, aside + Style(meta={"toggle": True})),
            (_MARKS[state], (frozen if state is State.FROZEN else trains) + Style(meta={"mark": True})),
            (_fit(layer.name, room), frozen if state is State.FROZEN else style),
            *columns,
        )

    def on_click(self, event: events.Click) -> None:
        """Toggle a layer whose mark was clicked."""
        meta = event.style.meta
        if meta.get("mark") and "line" in meta:
            event.prevent_default()
            self.cursor_line = meta["line"]
            self.action_toggle_layer()

    def action_toggle_layer(self) -> None:
        if self.node:
            self.post_message(self.Toggled(self.node))

    def action_toggle_group(self, group: str) -> None:
        self.post_message(self.GroupToggled(group))

    def action_deepen(self, by: int) -> None:
        self.post_message(self.Deepened(by))

    def action_open(self) -> None:
        if self.cursor_node and self.cursor_node.allow_expand and not self.cursor_node.is_expanded:
            self.cursor_node.expand()
        else:
            self.action_cursor_down()

    def action_close(self) -> None:
        if self.cursor_node and self.cursor_node.is_expanded and self.cursor_node.allow_expand:
            self.cursor_node.collapse()
        else:
            self.action_cursor_parent()


def _fit(text: str, width: int) -> str:
    """Cut or fill a text to a width in columns."""
    return text.ljust(width) if len(text) <= width else f"{text[: max(0, width - 1)]}…"
