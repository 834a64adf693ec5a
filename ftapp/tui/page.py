"""The base of all full screens: the bar at the top, the keys at the bottom, and help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.await_remove import AwaitRemove
from textual.binding import Binding, BindingType
from textual.events import ScreenResume
from textual.screen import Screen
from textual.widget import Widget

from ftapp.tui.widgets.keys import Keys
from ftapp.tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_MARK = "_only_looks"


_Method = TypeVar("_Method", bound=Callable[..., Any])


def looks(method: _Method) -> _Method:
    """Mark an action of a page that changes nothing. People who may only look can do marked actions alone."""
    setattr(method, _MARK, True)
    return method


class Page(Screen[None]):
    """A full screen. Subclasses yield their widgets in `body`.

    Attributes:
        PLACE: The part of the interface that the top bar marks, recipes or runs.
        HELP: The Markdown that `?` shows above the keys.
    """

    PLACE: ClassVar[str] = "recipes"
    HELP: ClassVar[str | None] = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend", "Suspend", show=False, tooltip="Suspend ftapp; fg in the shell goes on with it")
    ]

    app: FtApp

    def __init__(self) -> None:
        super().__init__()
        self._theme = ""  # the theme that the widgets were styled for

    def on_compose(self) -> None:
        """Take the classes of the terminal's size before there are widgets, which would be styled twice."""
        self._theme = self.app.theme
        across, down = self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS
        columns, rows = self.app.size
        names = [
            *_find_size_class(columns, self.app.HORIZONTAL_BREAKPOINTS if across is None else across),
            *_find_size_class(rows, self.app.VERTICAL_BREAKPOINTS if down is None else down),
        ]
        self.add_class(*names)

    def compose(self) -> ComposeResult:
        yield TopBar(self.PLACE)
        yield from self.body()
        yield Keys()

    def remove(self) -> AwaitRemove:
        self.workers.cancel_node(self)  # before their widgets go
        return super().remove()

    def on_screen_suspend(self) -> None:
        """Hide pictures that the terminal draws itself, which would lie over a dialog."""
        from ftapp.tui.terminal import graphics

        self.set_class(bool(self.query("Picture, Pictures")) and not graphics.draws_in_cells(self.app), "-covered")

    @on(ScreenResume)
    def _restore(self, event: ScreenResume) -> None:
        """Show them again. The widgets need no new styles, which take long, unless the theme has changed meanwhile."""
        event.refresh_styles = self._theme != self.app.theme
        self._theme = self.app.theme
        self.remove_class("-covered")

    @looks
    def action_maximize_pane(self) -> None:
        """Maximize the focused pane, or restore it."""
        if self.maximized:
            self.minimize()
        elif self.focused:
            self.maximize(self.focused)

    @looks
    def action_suspend(self) -> None:
        """Stop the interface and give the terminal back to the shell, until the shell's `fg`. Runs go on."""
        self.app.action_suspend_process()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse actions that are not marked by `looks` to people who may only look. Subclasses ask this first."""
        if action == "suspend" and self.app.is_web:
            return False
        method = getattr(self, f"action_{action}", None)
        is_own = method is not None and not method.__module__.startswith("textual.")
        return not is_own or hasattr(method, _MARK) or self.app.person.find_obstacle("use") is None

    @property
    def unsaved(self) -> str:
        """What closing the page would lose, in a sentence; empty for nothing."""
        return ""

    def body(self) -> Iterable[Widget]:
        """The screen's own widgets, from top to bottom."""
        raise NotImplementedError


def _find_size_class(size: int, breakpoints: Sequence[tuple[int, str]]) -> list[str]:
    """Find the class of a size, as Textual does: that of the highest of the breakpoints below."""
    return [name for least, name in sorted(breakpoints) if least <= size][-1:]
