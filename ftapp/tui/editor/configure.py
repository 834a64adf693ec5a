"""Configure: one run before it starts, in five panes: its layers, training, data, augmentation and model."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Button, Input, Static, Tab, Tabs, TextArea
from textual.worker import Worker, WorkerState

from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import cautions
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.editor import edits, sweep_edits
from ftapp.tui.editor.arm_line import ArmLine
from ftapp.tui.editor.augment_pane import AugmentPane
from ftapp.tui.editor.browse import browse
from ftapp.tui.editor.choices_line import ChoicesLine
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.meaning import MeaningScreen
from ftapp.tui.editor.model_pane import ModelPane
from ftapp.tui.editor.panes import TITLES, Panes, find_first_field
from ftapp.tui.editor.phase_chips import PhaseChips
from ftapp.tui.editor.previews import Previews
from ftapp.tui.editor.problems import describe_problem, find_problems, mark_problems
from ftapp.tui.editor.proposals import Proposals
from ftapp.tui.editor.save_as import ask_for_path, save_draft
from ftapp.tui.editor.sweep_section import SweepSection
from ftapp.tui.editor.training_pane import TrainingPane
from ftapp.tui.page import Page
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.texts import set_text

_PANE_KEYS = {f"f{number}": name for number, name in enumerate(TITLES, start=2)}
_FILE = Path(__file__)  # beside it lie the help and the style


class ConfigureScreen(Page):
    """Changes a draft, shows previews of it, saves it and starts its run."""

    AUTO_FOCUS = ""  # the tree takes the focus when it is there
    HELP = _FILE.with_suffix(".md").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", tooltip="Start the run or the sweep"),
        Binding("n", "queue", "Queue", tooltip="Run it after what waits in the queue"),
        Binding("ctrl+s", "save", "Save", tooltip="Save as a recipe of your own"),
        Binding("y", "copy", "Copy", tooltip="Copy the command of this run"),
        Binding("left_square_bracket", "step_phase(-1)", "Previous phase", show=False),
        Binding("right_square_bracket", "step_phase(1)", "Next phase", show=False),
        Binding("left_curly_bracket", "step_arm(-1)", "Previous arm", show=False),
        Binding("right_curly_bracket", "step_arm(1)", "Next arm", show=False),
        Binding("g", "fetch", "Fetch", tooltip="Fetch the model and the data from their hub"),
        Binding("t", "time", "Time", tooltip="Time a few steps"),
        Binding("v", "advise", "Advise", tooltip="Recommend a strategy for the data"),
        *(
            Binding(  # with priority, since text areas take some of the keys
                key, f"pane('{name}')", "Panes", key == "f2", "F2-F6", priority=True, tooltip="Go to a pane"
            )
            for key, name in _PANE_KEYS.items()
        ),
        Binding("l", "find_rate", "Find a rate", tooltip="Test learning rates of the phase, and suggest a rate"),
        Binding("ctrl+z", "undo", "Undo", tooltip="Undo the advice or the rate that was applied", priority=True),
        Binding("escape", "back", "Back"),
    ]
    DEFAULT_CSS = _FILE.with_suffix(".tcss").read_text(encoding="utf-8")

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.form = Form(draft, {}, None, (), "")
        self.previews = Previews(self)
        self._saved = draft
        self.proposals = Proposals(self)
        self._able: tuple[bool, bool] | None = None

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="head"):
            yield Static(id="title")
            yield Button("Run", id="run", variant="primary", compact=True)
        yield ChoicesLine()
        yield ArmLine()
        yield Tabs(*(Tab(label, id=name) for name, label in TITLES.items()), id="tabs")
        yield Panes()
        yield Cautions()
        yield Static(id="problems", markup=False)

    def on_mount(self) -> None:
        self.query_one(ChoicesLine).offer_profiles(self.form.draft)
        self._activate("layers")
        self.take(self.form.draft)  # before the first frame, so that the fields have their places only once
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self.focused is None and self.query(LayerTree):  # a screen that is being left has none
            self._focus_home()

    async def on_unmount(self) -> None:
        self.workers.cancel_node(self)  # before they hear that the process has ended
        await self.previews.close()

    # The draft and what the panes show of it

    def take(self, draft: Draft, phase: str | None = None, *, keep_typed: bool = True) -> None:
        """Show a draft.

        Args:
            draft: The draft.
            phase: The phase to choose; None for the phase that is chosen now.
            keep_typed: Whether a field keeps the text that the user types.
        """
        try:
            self.form = Form.of(draft, phase or self.form.phase, self.form.arm)
        except RecipeError as error:
            self.form = replace(self.form, draft=draft, recipe=None, problems=tuple(error.problems))
        self._show(keep_typed=keep_typed)
        self.previews.request(self.form)

    def _show(self, *, keep_typed: bool) -> None:
        form = self.form
        title = f"  {form.tables.get('title', '')}"
        name = Content.assemble((form.draft.path.stem, "bold"), (title, "$foreground 60%"))
        set_text(self.query_one("#title", Static), name)
        self.query_one(ChoicesLine).show(form)
        self.query_one(ArmLine).show(form)
        for line in self._lines:
            line.show(form.value(form.key(line.field.key)), keep_typed=keep_typed)
            line.hide_if_foreign(form.task)
        self.query_one(LayersPane).show(form, keep_typed=keep_typed)
        self.query_one(TrainingPane).show(form, keep_typed=keep_typed)
        self.query_one(DataPane).show(form)
        self.query_one(AugmentPane).show(form)
        self.query_one(ModelPane).show(form)
        self.show_problems()

    @functools.cached_property
    def _lines(self) -> tuple[FieldLine, ...]:
        """All fields, which stay the same while the screen is open."""
        return tuple(self.query(FieldLine))

    def show_problems(self) -> None:
        """Show each problem where it belongs, and all of them in a few words at the bottom."""
        problems = self.problems
        mark_problems(self, self._lines, self.form, problems)
        text = "\n".join(map(describe_problem, problems))
        self.query_one("#problems").set_class(bool(problems), "-any")
        set_text(self.query_one("#problems", Static), text)
        recipe, structure = self.form.recipe, self.previews.structure
        weighted = structure.weighted_layers if structure else None
        self.query_one(Cautions).show(
            cautions.find_cautions(recipe, self.previews.split_sizes, weighted) if recipe else []
        )
        button = self.query_one("#run", Button)
        button.label = "Sweep" if self.form.draft.options.sweep else "Run"
        button.disabled = bool(problems)
        button.tooltip = Content(text or "Start the run (ctrl+r)")
        able = (not problems, bool(self.previews.find_missing(recipe)))
        if able != self._able:
            self._able = able
            self.refresh_bindings()

    @property
    def problems(self) -> list[Problem]:
        """The known reasons why the draft cannot run: wrong keys, and rules without a layer in the model."""
        return find_problems(self.form, self.previews.structure)

    def _change(self, key: str, value: Any) -> None:
        self.proposals.accept()
        self.take(edits.set_value(self.form.draft, key, value, self.form.arm))

    # What the user does

    @on(FieldLine.Changed)
    def _change_field(self, event: FieldLine.Changed) -> None:
        if event.line.field.key == "phase.name":
            self._rename(event.line, event.value)
        else:
            self._change(self.form.key(event.line.field.key), event.value)

    def _rename(self, line: FieldLine, name: Any) -> None:
        form = self.form
        if name == form.phase:
            self.show_problems()
        elif wrong := edits.check_phase_name(name, form.phases):
            line.show_error(wrong)
        else:
            self.take(edits.rename_phase(form.draft, form.phase, name, form.arm), name)

    @on(FieldLine.Explain)
    def _explain(self, event: FieldLine.Explain) -> None:
        self.app.push_screen(MeaningScreen(event.line.field))

    @on(FieldLine.Browse)
    def _browse(self, event: FieldLine.Browse) -> None:
        browse(self.app, self.form, event.line)

    @on(LayersPane.Changed)
    def _change_rules(self, event: LayersPane.Changed) -> None:
        self._change(self.form.key("phase.layers"), event.rules)

    @on(FieldLine.SearchValues)
    def _search_field(self, event: FieldLine.SearchValues) -> None:
        self.take(sweep_edits.search_field(self.form, event.line.field), keep_typed=False)
        self._activate("training")
        self.query_one(SweepSection).focus_last()

    @on(AugmentPane.Used)
    def _use_augment(self, event: AugmentPane.Used) -> None:
        self.take(edits.use_table(self.form.draft, "augment", event.used, self.form.arm))
        if self.form.arm and self.form.tables.get("augment") is not None and not event.used:
            self.notify("An arm cannot leave out a table that the recipe has. It can set the values of the table.")

    @on(TrainingPane.Edited)
    def _take_edited(self, event: TrainingPane.Edited) -> None:
        self.take(event.draft, event.phase)

    @on(ChoicesLine.ProfileChosen)
    def _choose_profile(self, event: ChoicesLine.ProfileChosen) -> None:
        self.take(replace(self.form.draft, profile=event.profile))

    @on(ArmLine.Chosen)
    def _choose_arm(self, event: ArmLine.Chosen) -> None:
        self._show_arm(event.arm)

    def action_step_arm(self, by: int) -> None:
        if self.form.arms:
            names = [None, *self.form.arms]
            self._show_arm(names[(names.index(self.form.arm) + by) % len(names)])

    def _show_arm(self, arm: str | None) -> None:
        """Show an arm, to be changed alone, or the recipe, whose changes go to all arms."""
        self.form = replace(self.form, arm=arm)
        self.take(self.form.draft)

    @on(PhaseChips.Clicked)
    def _choose_phase(self, event: PhaseChips.Clicked) -> None:
        self.take(self.form.draft, event.phase)

    def action_step_phase(self, by: int) -> None:
        names = self.form.phases
        if len(names) > 1:
            self.take(self.form.draft, names[(names.index(self.form.phase) + by) % len(names)])

    # Panes and focus

    @on(Tabs.TabActivated)
    def _choose_tab(self, event: Tabs.TabActivated) -> None:
        self._activate(event.tab.id or "layers")

    def action_pane(self, name: str) -> None:
        """Show a pane and put the focus into it."""
        self._activate(name)
        # At once, so that the next letter is typed where the focus will be seen.
        self.set_focus(self.query_one(Panes).find_field(name))

    def _activate(self, name: str) -> None:
        self.query_one(Panes).activate(name)
        with self.prevent(Tabs.TabActivated):
            self.query_one("#tabs", Tabs).active = name

    def watch_focused(self, focused: Widget | None) -> None:
        """Give the focus to the pane that is shown: without it, letters that are typed would be commands."""
        if focused is None and self.is_running:
            self.call_after_refresh(self._restore_focus)

    def _restore_focus(self) -> None:
        if self.focused is not None:
            return
        with suppress(NoMatches):  # a screen that is being left loses its widgets one after another
            pane = self.query_one(Panes).active
            if isinstance(pane, LayersPane):
                self._focus_home()
            else:
                self.set_focus(find_first_field(pane))

    def _focus_home(self) -> None:
        """Give the focus to the layers or, until they are known, to the tabs or the profile."""
        tree, tabs = self.query_one(LayerTree), self.query_one("#tabs", Tabs)
        known = self.query_one(LayersPane).choice is not None and bool(tree.region)
        self.set_focus(tree if known else tabs if tabs.display else self.query_one("#profile", Dropdown))

    def focus_layers(self) -> None:
        """Give the focus to the layers that are known by now, unless the user has moved it."""
        unmoved = self.focused is None or self.focused.id in ("tabs", "profile")
        if unmoved and self.query_one("#tabs", Tabs).active == "layers":
            self.set_focus(self.query_one(LayerTree))

    # Running, saving, leaving

    @on(Button.Pressed, "#run")
    def action_run(self) -> None:
        self.previews.pause()  # the run needs the memory
        self._saved = self.form.draft  # the run keeps it
        self.app.start(self.form.draft)

    def action_queue(self) -> None:
        self._saved = self.form.draft  # the queue keeps it
        self.app.add_to_queue(self.form.draft)

    def on_screen_resume(self) -> None:
        if self.form.tables:
            self.previews.request(self.form)

    def action_copy(self) -> None:
        self.app.copy_command(self.form.draft.command())

    def action_save(self) -> None:
        if self.form.recipe is None:
            self.notify("The recipe has errors. It can be saved once it is valid.", severity="warning")
        else:
            ask_for_path(self.app, self.form.draft, self._write)

    def _write(self, path: Path) -> None:
        if not save_draft(self.app, self.form.draft, path):
            return
        self._saved = Draft(path, options=self.form.draft.options, on=self.form.draft.on)
        self.take(self._saved)
        self.query_one(ChoicesLine).offer_profiles(self.form.draft)

    def action_back(self) -> None:
        """Leave a text for the screen's keys, or the screen; where changes would be lost, ask first."""
        if isinstance(self.focused, Input | TextArea):
            self._focus_home()
        elif not self.unsaved:
            self.dismiss()
        else:
            dialog = Dialog("Leave without saving?", self.unsaved, ["Leave", "Stay"])
            self.app.push_screen(dialog, self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "Leave":
            self.dismiss()

    @property
    def unsaved(self) -> str:
        return self.form.draft.describe_unsaved(self._saved)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "run" | "queue" if self.is_mounted:
                return None if self.problems else True
            case "undo":
                return self.proposals.can_undo
            case "fetch":
                return bool(self.previews.find_missing(self.form.recipe))
        return super().check_action(action, parameters)

    # What the helper process is asked for

    @on(DataPane.Fetch)
    def action_fetch(self) -> None:
        """Fetch the model and the data from their hub."""
        if self.form.recipe:
            self.previews.hub.grant(self.form.recipe)
        self.show_problems()
        self.previews.request(self.form)

    def action_time(self) -> None:
        """Time a few steps of the phase as it is."""
        resolved = self.form.recipe
        if resolved and self.previews.structure and self.previews.has_all(resolved):
            self.previews.time_steps(resolved)
        else:
            self.notify("Steps can be timed once the model and the data are there.")

    @on(DataPane.Advise)
    def action_advise(self) -> None:
        """Look at the data through the pretrained model, and advise a strategy."""
        self.proposals.advise()

    @on(TrainingPane.RateWanted)
    def action_find_rate(self) -> None:
        """Test learning rates of the chosen phase in a process of its own, and take the suggested rate."""
        self.proposals.find_rate()

    def action_undo(self) -> None:
        """Go back to the draft before a proposal was set."""
        self.proposals.undo()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show an unforeseen error. A screen that is being left has no widgets, which is no error."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and self.is_attached and not isinstance(error, NoMatches):
            self.notify(f"{type(error).__name__}: {error}", severity="error", markup=False)
