"""Advice on the data of a recipe: the strategy that fits them, and the values that one key sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Label, Static

from ftapp.analysis import advice
from ftapp.analysis.advice import Advice
from ftapp.analysis.advice_table import list_facts, list_probes, name_columns
from ftapp.common.errors import RecipeError, RunError
from ftapp.common.safe_files import describe_error
from ftapp.recipe import Recipe
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.messages import Survey
from ftapp.rpc.service import SupersededError
from ftapp.tui.dialog import AskingDialog
from ftapp.tui.editor import edits, fields
from ftapp.tui.editor.draft import Draft
from ftapp.tui.widgets.facts import Facts

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_MUTED = "$foreground 60%"
_ASKED = ("model.image_size", "model.sequence_length")  # the keys that change how the model sees the data


class AdviseScreen(AskingDialog[Draft | None]):
    """A dialog with advice. Its result is the advised draft, or None. Closing it cancels the request."""

    DEFAULT_CSS = """
    AdviseScreen #sheet {
        width: 100; max-width: 96%; height: auto; max-height: 94%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    AdviseScreen.-known #sheet { height: 94%; }
    AdviseScreen.-short #sheet { padding: 0 2; }
    AdviseScreen #advice { height: auto; scrollbar-size-vertical: 1; }
    AdviseScreen.-known #advice { height: 1fr; }
    AdviseScreen #advice > * { width: 1fr; height: auto; margin: 0 1 1 0; }
    AdviseScreen #advice > .found { display: none; }
    AdviseScreen.-known #advice > .found { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("a", "apply", "Apply", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("y", "copy", "Copy the command", show=False),
        *(Binding(key, f"scroll({by})", show=False) for key, by in (("up", -1), ("down", 1))),
        *(Binding(key, f"scroll({by})", show=False) for key, by in (("pageup", -10), ("pagedown", 10))),
    ]

    app: FtApp

    def __init__(self, recipe: Recipe, draft: Draft, inspector: InspectorClient) -> None:
        """Make the dialog.

        Args:
            recipe: The resolved recipe to advise on.
            draft: The draft of the recipe.
            inspector: The helper process.
        """
        super().__init__()
        self._recipe, self._draft, self._inspector = recipe, draft, inspector
        self._drafts: list[Draft] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield Label("Advice", id="dialog-title")
            with VerticalScroll(id="advice", can_focus=False):
                yield Static("Looking at the data ...", id="said", markup=False)
                yield Facts(id="values", classes="found")
                yield Facts(id="facts", classes="found")
                yield Facts(id="probes", classes="found")
                yield Static(id="notes", classes="found", markup=False)
            with Horizontal(id="dialog-answers"):
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one("#close", Button).focus()
        self._learn()

    @work(exclusive=True)
    async def _learn(self) -> None:
        said = self.query_one("#said", Static)

        def report(activity: str, done: int, total: int | None) -> None:
            if not self.is_left:
                said.update(f"{activity}{f', {done / total:.0%}' if total else ''} ...")

        try:
            survey = await self._inspector.survey(self._recipe, report)
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            said.update(describe_error(error))
            return
        if not self.is_left:
            await self._show(survey, advice.advise(self._recipe, survey, self._draft.profile))

    async def _show(self, survey: Survey, given: Advice) -> None:
        best = given.best
        self._drafts = [edits.apply_advice(self._draft, each) for each in (best, *given.others)]
        parts = [Content.assemble((best.strategy.capitalize(), "bold $primary"), f". {best.reason}")]
        parts += [
            Content(f"The choice is close. This strategy is worth a run too: {other.strategy}, {other.recipe}.")
            for other in given.others
        ]
        self.query_one("#said", Static).update(Content("\n\n").join(parts))
        self.query_one("#values", Facts).rows = _list_values(self._draft, self._drafts[0])
        facts = list_facts(self._recipe, survey, given)
        self.query_one("#facts", Facts).rows = [(label, Content(text)) for label, text in facts]
        names, right, lead = name_columns(survey)
        rows = [(names, Content.styled(right, _MUTED), Content.styled(lead, _MUTED))]
        rows += [(name, Content(share), Content(points)) for name, share, points in list_probes(survey)]
        self.query_one("#probes", Facts).rows = rows if survey.probes else []
        notes = [Content(note.text) for note in given.notes]
        self.query_one("#notes", Static).update(Content("\n\n").join([*notes, Content.styled(advice.METHOD, _MUTED)]))
        buttons: list[Button] = [
            _Apply(draft, each.recipe, first=each is best)
            for draft, each in zip(self._drafts, (best, *given.others), strict=True)
        ]
        buttons += [_AskAgain(*note.change) for note in given.notes if note.change and note.change[0] in _ASKED]
        answers = self.query_one("#dialog-answers")
        await answers.query(Button).exclude("#close").remove()
        await answers.mount(*buttons, before="#close")
        buttons[0].focus()
        self.add_class("-known")

    def action_apply(self) -> None:
        """Apply the first advice."""
        if self._drafts:
            self.dismiss(self._drafts[0])

    def action_scroll(self, by: int) -> None:
        self.query_one("#advice", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_copy(self) -> None:
        """Copy the command of the first advice."""
        if self._drafts:
            self.app.copy_command(self._drafts[0].command())

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        match event.button:
            case _Apply() as button:
                self.dismiss(button.draft)
            case _AskAgain() as button:
                self._ask_again(button.key, button.value)
            case _:
                self.dismiss(None)

    def _ask_again(self, key: str, value: object) -> None:
        """Look at the data again with another value of a key, which the advice keeps."""
        self._draft = edits.set_value(self._draft, key, value)
        self._recipe = self._draft.load()
        self._drafts = []
        self.remove_class("-known")
        self.query_one("#said", Static).update("Looking at the data ...")
        self.query_one("#close", Button).focus()
        self._learn()


class _Apply(Button):
    """Applies an advice."""

    def __init__(self, draft: Draft, recipe: str, *, first: bool) -> None:
        super().__init__(
            "Apply (a)" if first else f"Apply {recipe}", variant="primary" if first else "default", compact=True
        )
        self.draft = draft


class _AskAgain(Button):
    """Requests advice with another value of a key."""

    def __init__(self, key: str, value: Any) -> None:
        super().__init__(f"Ask at {' x '.join(map(str, value))}", compact=True)
        self.key, self.value = key, value


def _list_values(now: Draft, advised: Draft) -> list[tuple[str, Content]]:
    """List the values that an advice changes, in rows of a label and a value."""
    before, after = now.load(), advised.load()
    rows = [("recipe", advised.path.stem)] if advised.path != now.path else []
    for section in ("model", "augment", "frozen"):
        old, new = getattr(before, section), getattr(after, section)
        if new is None or old is None:
            rows += [(section, "as the recipe has it" if new else "none")] if old != new else []
            continue
        for name in type(new).model_fields:
            if getattr(old, name) != getattr(new, name):
                value = fields.find_field(f"{section}.{name}").write(getattr(new, name))
                rows.append((f"{name.replace('_', ' ')}", value or "none"))
    if [(phase.name, phase.layers) for phase in before.phase] != [(each.name, each.layers) for each in after.phase]:
        rows += [(f"phase {phase.name}", " · ".join(phase.layers) or "everything trains") for phase in after.phase]
    old, new = before.data, after.data
    changed = [name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)]
    rows += [(name, fields.find_field(f"data.{name}").write(getattr(new, name)) or "all") for name in changed]
    if not rows:
        return [("Apply sets", Content("nothing: the recipe has the advised values"))]
    return [("Apply sets", Content("")), *((f"  {label}", Content(text)) for label, text in rows)]
