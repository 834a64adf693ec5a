"""The choice of a format, a folder and a check for the export of a run's model."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from ftapp.common import confinement
from ftapp.common.errors import RunError
from ftapp.rpc.export_client import ExportChoice, find_export_folder
from ftapp.runs.export_formats import FORMATS
from ftapp.tui.widgets.path_field import PathField
from ftapp.tui.widgets.prompt import Number
from ftapp.tui.widgets.tick import Tick

_MUTED = "$foreground-muted"
_CHECKED = 50  # test examples, as with `ftapp export`


class ExportForm(ModalScreen[ExportChoice | None]):
    """A dialog with the formats. Its result is the choice, or None after Escape."""

    CSS = """
    ExportForm #dialog { width: 84; }
    ExportForm .row TextLine { background: $foreground 10%; }
    ExportForm .row TextLine:focus { background: $foreground 18%; }
    """
    DEFAULT_CSS = """
    ExportForm #formats, ExportForm #formats:focus {
        background: $surface; height: auto; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ExportForm .row { height: 1; margin-top: 1; }
    ExportForm.-short .row { margin-top: 0; }
    ExportForm .row Label { color: $text-muted; width: 10; }
    ExportForm .row PathField { width: 1fr; }
    ExportForm .row Number { width: 8; margin-right: 1; }
    ExportForm #wrong { height: auto; color: $error; margin-top: 1; }
    ExportForm.-short #wrong, ExportForm.-short #dialog-answers { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", show=False)]
    AUTO_FOCUS = "#formats"

    def __init__(self, run: Path, model: str) -> None:
        """Make the dialog.

        Args:
            run: The run's folder.
            model: A description of its model, in a few words.
        """
        super().__init__()
        self._run, self._model = run, model
        self._names = list(FORMATS)
        self._missing = [name for name, row in FORMATS.items() if not row.is_installed()]

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Label(f"Export of {self._run.name}", id="dialog-title", markup=False)
            yield OptionList(*self._list_formats(), id="formats")
            with Horizontal(classes="row"):
                yield Label("folder")
                yield PathField(id="folder")
            with Horizontal(classes="row"):
                yield Label("check")
                yield Number(_CHECKED, least=0, step=10, id="examples")
                yield Static("test examples at most; 0 for no check", markup=False)
            with Horizontal(classes="row"):
                yield Label("options")
                yield Tick("int8", id="int8")
                yield Tick("replace the export that is there", id="replaces")
            yield Static(id="wrong", markup=False)
            with Horizontal(id="dialog-answers"):
                yield Button("Export", id="export", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        self.query_one("#dialog").border_subtitle = Content(self._model)
        usable = (index for index, name in enumerate(self._names) if name not in self._missing)
        self.query_one(OptionList).highlighted = next(usable, 0)

    @property
    def _chosen(self) -> str:
        return self._names[self.query_one(OptionList).highlighted or 0]

    def _list_formats(self) -> list[Option]:
        width = max(map(len, FORMATS))
        titles = max(len(row.title) for row in FORMATS.values())
        options = []
        for name, row in FORMATS.items():
            about = "a package is missing" if name in self._missing else f"runs with {row.runtime}"
            line = Content.assemble(name.ljust(width), (f"  {row.title.ljust(titles)}  {about}", _MUTED))
            options.append(Option(line, id=name))
        return options

    @on(OptionList.OptionHighlighted)
    @on(Checkbox.Changed, "#int8")
    def _choose(self) -> None:
        """Put the usual folder of the format into the line, unless the user has typed another one."""
        int8 = self.query_one("#int8", Tick)
        int8.disabled = not FORMATS[self._chosen].has_int8
        line = self.query_one("#folder", PathField)
        usual = {find_export_folder(self._run, name, int8=each) for name in FORMATS for each in (False, True)}
        if line.path is None or line.path in usual:
            line.value = str(find_export_folder(self._run, self._chosen, int8=self._is_int8))
        self._check()

    @property
    def _is_int8(self) -> bool:
        return self.query_one("#int8", Tick).value and FORMATS[self._chosen].has_int8

    @on(Input.Changed)
    @on(Checkbox.Changed, "#replaces")
    def _check(self) -> None:
        try:
            self._make_choice()
            wrong = ""
        except RunError as error:
            wrong = str(error).replace("replace it (--force)", "mark 'replace'")
        self.query_one("#wrong", Static).update(wrong)

    def _make_choice(self) -> ExportChoice:
        """Make the choice of what the form holds.

        Raises:
            RunError: It cannot be exported.
        """
        folder, examples = self.query_one(PathField).path, self.query_one("#examples", Number)
        if folder is None:
            raise RunError("an export needs a folder")
        if examples.number is None:
            raise RunError(f"'{examples.value}' is not a number of examples; it is {examples.rule}")
        usual = find_export_folder(self._run, self._chosen, int8=self._is_int8)
        if folder != usual and (obstacle := confinement.find_obstacle(folder, writes=True)):
            raise RunError(obstacle)
        replaces = self.query_one("#replaces", Tick).value
        choice = ExportChoice(self._chosen, folder, self._is_int8, int(examples.number), replaces)
        choice.check()
        return choice

    @on(Button.Pressed, "#export")
    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _confirm(self) -> None:
        try:
            self.dismiss(self._make_choice())
        except RunError:
            self._check()

    @on(Button.Pressed, "#cancel")
    def _leave(self) -> None:
        self.dismiss(None)
