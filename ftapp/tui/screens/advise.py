"""Advice on the data of a recipe: which strategy fits them, and the recipe that carries it out."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static

from ftapp import advice
from ftapp.advice import Advice
from ftapp.answers import Survey
from ftapp.clients import Inspector
from ftapp.errors import RecipeError, RunError
from ftapp.recipe import Recipe
from ftapp.service import SupersededError
from ftapp.tui.draft import Draft
from ftapp.tui.widgets.facts import Facts

_MUTED = "$foreground 60%"


class AdviseScreen(ModalScreen[Draft | None]):
    """Its result is the draft of the recipe that is advised, or None. Closing it ends what it has asked for."""

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
    AdviseScreen #dialog-answers Button { min-width: 9; }
    AdviseScreen #advice > .found { display: none; }
    AdviseScreen.-known #advice > .found { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("y", "copy", "Copy the command", show=False),
        *(Binding(key, f"scroll({by})", show=False) for key, by in (("up", -1), ("down", 1))),
        *(Binding(key, f"scroll({by})", show=False) for key, by in (("pageup", -10), ("pagedown", 10))),
    ]

    def __init__(self, recipe: Recipe, profile: str | None, inspector: Inspector) -> None:
        """profile: of the advised recipes, where they have it; inspector: the helper that is asked."""
        super().__init__()
        self._recipe, self._profile, self._inspector = recipe, profile, inspector
        self._drafts: list[Draft] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet"):
            yield Label("Advice", id="dialog-title")
            with VerticalScroll(id="advice", can_focus=False):
                yield Static("Looking at the data ...", id="said", markup=False)
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

        def told(activity: str, done: int, total: int | None) -> None:
            if self.is_mounted:
                said.update(f"{activity}{f', {done / total:.0%}' if total else ''} ...")

        try:
            survey = await self._inspector.survey(self._recipe, told)
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            said.update(str(error))
            return
        await self._show(survey, advice.advise(self._recipe, survey, self._profile))

    async def _show(self, survey: Survey, given: Advice) -> None:
        best = given.best
        self._drafts = [Draft.of(course) for course in (best, *given.others)]
        parts = [
            Content.assemble((best.strategy.capitalize(), "bold $primary"), f". {best.reason}"),
            Content.assemble((self._drafts[0].command(), "$accent"), ("\ny copies this.", _MUTED)),
        ]
        parts += [
            Content(f"It is a close call. Also worth a run: {other.strategy}, {other.recipe}.")
            for other in given.others
        ]
        self.query_one("#said", Static).update(Content("\n\n").join(parts))
        facts = advice.facts(self._recipe, survey, given)
        self.query_one("#facts", Facts).rows = [(label, Content(text)) for label, text in facts]
        names, right, lead = advice.columns(survey)
        rows = [(names, Content.styled(right, _MUTED), Content.styled(lead, _MUTED))]
        rows += [(name, Content(share), Content(points)) for name, share, points in advice.probes(survey)]
        self.query_one("#probes", Facts).rows = rows if survey.probes else []
        notes = Content("\n\n").join([*map(Content, given.notes), Content.styled(advice.METHOD, _MUTED)])
        self.query_one("#notes", Static).update(notes)
        buttons = [_Open(draft, first=draft is self._drafts[0]) for draft in self._drafts]
        await self.query_one("#dialog-answers").mount(*buttons, before="#close")
        buttons[0].focus()
        self.add_class("-known")

    def action_scroll(self, by: int) -> None:
        self.query_one("#advice", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_copy(self) -> None:
        """Copy the command of the strategy that is advised."""
        if self._drafts:
            command = self._drafts[0].command()
            self.app.copy_to_clipboard(command)
            self.notify(command, title="Copied", markup=False, timeout=10)

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.draft if isinstance(event.button, _Open) else None)


class _Open(Button):
    """Opens a recipe that is advised."""

    def __init__(self, draft: Draft, *, first: bool) -> None:
        super().__init__(
            "Open it" if first else f"Open {draft.name}", variant="primary" if first else "default", compact=True
        )
        self.draft = draft
