"""The choice of inputs and of an output file for predictions with a run's model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from ftapp.common import confinement
from ftapp.common.errors import RunError
from ftapp.common.safe_files import explain_error
from ftapp.recipe import Task
from ftapp.rpc.prediction_messages import PredictQuestion
from ftapp.rpc.prediction_rows import choose_table_format
from ftapp.tui.dialogs.pick_file import PickFile, find_start_folder
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.path_field import PathField
from ftapp.tui.widgets.prompt import Number
from ftapp.tui.widgets.text_line import TextLine
from ftapp.tui.widgets.tick import Tick

_FORMATS = {"CSV": ".csv", "JSON lines": ".jsonl", "Parquet": ".parquet"}


@dataclass(frozen=True)
class PredictChoice:
    """What is predicted, and where the answers are written.

    Attributes:
        question: The inputs, and what is asked of them.
        output: The file.
        anew: Whether a partial file that is there is written anew.
    """

    question: PredictQuestion
    output: Path
    anew: bool


class PredictForm(ModalScreen[PredictChoice | None]):
    """A dialog with an input and an output. Its result is the choice, or None after Escape."""

    CSS = """
    PredictForm #dialog { width: 84; }
    PredictForm .row TextLine, PredictForm .row Dropdown { background: $foreground 10%; }
    PredictForm .row TextLine:focus, PredictForm .row Dropdown:focus { background: $foreground 18%; }
    """
    DEFAULT_CSS = """
    PredictForm .row { height: 1; margin-bottom: 1; }
    PredictForm.-short .row { margin-bottom: 0; }
    PredictForm .row Label { color: $text-muted; width: 10; }
    PredictForm .row PathField { width: 1fr; }
    PredictForm .row #column { width: 24; margin-right: 2; }
    PredictForm .row Number { width: 6; margin-right: 1; }
    PredictForm .row Dropdown { width: 16; margin-right: 2; }
    PredictForm .row .note { color: $text-muted; width: auto; margin-right: 3; }
    PredictForm #wrong { height: auto; min-height: 1; color: $error; }
    PredictForm #keys { color: $text-muted; height: auto; }
    PredictForm.-short #dialog-answers { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", show=False),
        Binding("ctrl+o", "pick", "Choose a file", show=False),
    ]
    AUTO_FOCUS = "#input"

    def __init__(self, name: str, task: Task) -> None:
        """Make the dialog.

        Args:
            name: The name of the run.
            task: The task of its model.
        """
        super().__init__()
        self._run_name, self._model_task = name, task
        self._proposed = ""  # the output that was proposed for the input

    def compose(self) -> ComposeResult:
        images = self._model_task.inputs == "images"
        with Vertical(id="dialog"):
            yield Label(f"Predictions with {self._run_name}", id="dialog-title", markup=False)
            with Horizontal(classes="row"):
                yield Label("input")
                kinds = "an image, a folder of images, or a table" if images else "texts (.txt, one a line), or a table"
                yield PathField(id="input", placeholder=kinds)
            with Horizontal(classes="row"):
                yield Label("column")
                yield TextLine(id="column", placeholder="that of the recipe")
                yield Static("of a table", classes="note")
            with Horizontal(classes="row"):
                yield Label("output")
                yield PathField(id="output")
            with Horizontal(classes="row"):
                yield Label("format")
                yield Dropdown(list(_FORMATS), id="format")
            if self._model_task.has_classes:
                with Horizontal(classes="row"):
                    yield Label("beside")
                    yield Number(0, least=0, step=1, id="top")
                    yield Static("best classes", classes="note")
                    yield Tick("the scores of all classes", id="scores")
            with Horizontal(classes="row"):
                yield Label("options")
                yield Tick("begin anew, even if a part is there", id="anew")
            yield Static(id="wrong", markup=False)
            yield Static("→ completes a path, Ctrl-O shows files, Enter begins", id="keys")
            with Horizontal(id="dialog-answers"):
                yield Button("Predict", id="predict", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        self.query_one(Dropdown).value = next(iter(_FORMATS))

    @property
    def _input(self) -> Path | None:
        return self.query_one("#input", PathField).path

    @property
    def _output(self) -> Path | None:
        return self.query_one("#output", PathField).path

    @on(Input.Changed, "#input")
    def _propose(self) -> None:
        """Propose a file beside the input, unless the user has typed another one."""
        output, given = self.query_one("#output", PathField), self._input
        if output.value in ("", self._proposed):
            ending = _FORMATS[self.query_one(Dropdown).value]
            name = given.name.partition(".")[0] if given else ""
            beside = given.with_name(f"{name}-answers{ending}") if given and name else None
            if beside and confinement.find_obstacle(beside, writes=True):
                beside = Path(beside.name)
            self._proposed = output.value = str(beside or "")

    @on(Dropdown.Changed)
    def _change_format(self, event: Dropdown.Changed) -> None:
        output = self.query_one("#output", PathField)
        if path := self._output:
            is_proposed = output.value == self._proposed
            output.value = str(path.with_suffix(_FORMATS[event.value]))
            self._proposed = output.value if is_proposed else self._proposed

    @on(Input.Changed, "#output")
    def _show_format(self) -> None:
        """Show the format of the output's ending."""
        suffix = self._output.suffix.lower() if self._output else ""
        for title, ending in _FORMATS.items():
            if ending == suffix:
                self.query_one(Dropdown).value = title

    @on(Input.Changed)
    def _clear(self) -> None:
        self.query_one("#wrong", Static).update("")

    def _find_wrong(self) -> str:
        """Explain why the choice cannot be predicted; "" where it can."""
        given, output = self._input, self._output
        if given is None:
            return "an input is missing: a file or a folder"
        if obstacle := confinement.find_obstacle(given):
            return obstacle
        try:
            if not (given.is_file() or given.is_dir()):
                return f"there is no file or folder '{given}'"
        except OSError as error:
            return f"the input cannot be read: {explain_error(error)}"
        if output is None:
            return "an output is missing: a file that ends in .csv, .jsonl or .parquet"
        if obstacle := confinement.find_obstacle(output, writes=True):
            return obstacle
        try:
            if output.is_dir():
                return f"'{output}' is a folder; an output is a file"
            if output.exists() and output.samefile(given):
                return f"'{output}' is the input too, which the output would replace; name another file"
        except OSError as error:
            return f"the output cannot be written: {explain_error(error)}"
        top = self.query("#top").results(Number)
        if wrong := next((each for each in top if each.number is None), None):
            return f"'{wrong.value}' is not a number of classes; it is {wrong.rule}"
        try:
            choose_table_format(output)
        except RunError as error:
            return str(error)
        return ""

    @on(Button.Pressed, "#predict")
    @on(Input.Submitted)
    def _confirm(self) -> None:
        given, output = self._input, self._output
        wrong = self._find_wrong()
        if wrong or given is None or output is None:
            self.query_one("#wrong", Static).update(wrong)
            return
        top = next((each.number for each in self.query("#top").results(Number)), 0)
        question = PredictQuestion(
            inputs=[(str(given.absolute()), str(given))],
            column=self.query_one("#column", TextLine).value.strip() or None,
            top=int(top or 0),
            scores=any(each.value for each in self.query("#scores").results(Tick)),
        )
        self.dismiss(PredictChoice(question, output, self.query_one("#anew", Tick).value))

    def action_pick(self) -> None:
        """Choose the input from a tree of folders."""
        line = self.query_one("#input", PathField)

        def put(path: Path | None) -> None:
            if path is not None:
                line.value = str(path)

        folder = find_start_folder(line.value)
        self.app.push_screen(PickFile("Which input?", folder, ("",), takes_folders=True), put)

    @on(Button.Pressed, "#cancel")
    def _leave(self) -> None:
        self.dismiss(None)
