"""Configure: one run before it starts, in five panes: its layers, training, data, augmentation and model."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static, Tab, Tabs, TextArea
from textual.worker import Worker, WorkerState

from ftapp import recipe
from ftapp.common.errors import Problem, RecipeError, RunError
from ftapp.recipe import Recipe, cautions, presets, sources
from ftapp.recipe.base_rate import with_base_rate
from ftapp.rpc import structure_cache
from ftapp.rpc.clients import Inspector
from ftapp.rpc.messages import Structure
from ftapp.rpc.service import SupersededError
from ftapp.tui import recipe_words
from ftapp.tui.dialogs.ask import Ask
from ftapp.tui.dialogs.dialog import Dialog
from ftapp.tui.dialogs.pick_file import PickFile
from ftapp.tui.editor import edits, layers, offers
from ftapp.tui.editor.advise import AdviseScreen
from ftapp.tui.editor.augment_pane import VIEWS, AugmentPane
from ftapp.tui.editor.choose_offer import Choose
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.find_rate import FindRate
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.meaning import MeaningScreen
from ftapp.tui.editor.model_pane import ModelPane
from ftapp.tui.editor.offers import Offer
from ftapp.tui.editor.training_pane import TrainingPane
from ftapp.tui.page import Page
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.dropdown import Choice

_PANES = {"layers": "Layers", "training": "Training", "data": "Data", "augment": "Augmentation", "model": "Model"}
_KEYS = {f"f{number}": name for number, name in enumerate(_PANES, start=2)}
_TYPING = 0.3  # seconds of rest after which what was typed is worth a preview
_TOGGLING = 0.1
_RESTING = 1.5  # seconds without a change before a few steps are timed
_EXAMPLES = 3  # images or texts in the augmentation's preview
_NO_PROFILE = "none"
_ALL_ARMS = "all arms"
_KINDS = ("structure", "data", "augment", "costs", "timing")  # of what the helper process is asked for


class ConfigureScreen(Page):
    """Changes a draft, shows what it comes to, saves it and starts its run."""

    AUTO_FOCUS = ""  # the tree takes the focus when it is there
    HELP = """
# Configure

Look at a run and change it before it starts. **R** is the share of the parameters that train.

- **Layers**: ● trains, ◐ trains in part, ○ is frozen. Space toggles a layer with all in it, a letter toggles a group
  wherever it is, `+` and `-` thaw and freeze the last blocks. The rules below the tree say the same as text.
- **Training**, **Data**, **Augmentation**, **Model**: every field is checked as you type. `F1`, or `?` where it is no
  part of the value, tells what a field means. An empty field means the default, which stands there in grey. `↓` in the
  fields *source* and *preset* lists what there is to choose from, files of this machine among them.
- **Learning rate**: `l` trains the phase while its rate grows, and suggests one. The weights stay as they are.
- **Advice**: `v` looks at the data through the pretrained model and tells which strategy fits them.

Of a recipe with arms the run is an experiment: all its arms, one after another. *Arm* chooses what the panes show and
change: the recipe, whose changes go to every arm, or one arm alone. Without arms, repeats or a control make a run an
experiment.

Nothing is written before you save. What is started goes on without this window.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", tooltip="Start the run"),
        Binding("ctrl+s", "save", "Save", tooltip="Save as a recipe of your own"),
        Binding("y", "copy", "Copy", tooltip="Copy the command that runs this"),
        Binding("left_square_bracket", "step_phase(-1)", "Former phase", show=False),
        Binding("right_square_bracket", "step_phase(1)", "Next phase", show=False),
        Binding("left_curly_bracket", "step_arm(-1)", "Former arm", show=False),
        Binding("right_curly_bracket", "step_arm(1)", "Next arm", show=False),
        Binding("g", "fetch", "Fetch", tooltip="Fetch the model and the data from their hub"),
        Binding("t", "time", "Time", tooltip="Time a few steps"),
        Binding("v", "advise", "Advise", tooltip="Advise how to train on these data"),
        *(
            Binding(
                key,
                f"pane('{name}')",
                "Panes",
                key_display="F2-F6",
                show=key == "f2",
                tooltip="Go to a pane",
                priority=True,  # text areas take some of them
            )
            for key, name in _KEYS.items()
        ),
        Binding("l", "find_rate", "Find a rate", tooltip="Test learning rates of the phase, and take one"),
        Binding("ctrl+z", "undo", "Take back", tooltip="Take back what was proposed and set", priority=True),
        Binding("escape", "back", "Back"),
    ]
    DEFAULT_CSS = """
    ConfigureScreen #head { height: 1; padding: 0 1; }
    ConfigureScreen #title { width: 1fr; }
    ConfigureScreen #run { min-width: 12; height: 1; border: none; }
    ConfigureScreen #choices { height: 1; padding: 0 1; }
    ConfigureScreen #choices Label { color: $text-muted; margin-right: 1; }
    ConfigureScreen #profile { width: 18; margin-right: 2; }
    ConfigureScreen #phases { width: auto; max-width: 60%; height: 1; }
    ConfigureScreen .phase { width: auto; padding: 0 1; color: $text-muted; }
    ConfigureScreen .phase.-here { color: $primary; text-style: bold; background: $surface; }
    ConfigureScreen #arm-line { height: 1; padding: 0 1; display: none; }
    ConfigureScreen #arm-line.-any { display: block; }
    ConfigureScreen #arm-line Label { color: $text-muted; margin-right: 5; }
    ConfigureScreen #arm { width: 26; margin-right: 2; }
    ConfigureScreen #overrides {
        width: 1fr; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ConfigureScreen #changes { width: 1fr; text-align: right; color: $text-muted; }
    ConfigureScreen #tabs { height: 1; padding: 0 1; margin-top: 1; }
    ConfigureScreen.-short #tabs { margin-top: 0; }
    ConfigureScreen #tabs Underline { display: none; }
    ConfigureScreen #tabs Tab { padding: 0 1; margin-right: 1; color: $text-muted; }
    ConfigureScreen #tabs Tab.-active { color: $primary; text-style: bold; background: $surface; }
    ConfigureScreen #tabs Tab.-wrong { color: $error; }
    ConfigureScreen #panes { height: 1fr; layout: horizontal; }
    ConfigureScreen #panes > .pane { scrollbar-size-vertical: 1; }
    ConfigureScreen #panes > .pane { display: none; width: 1fr; height: 100%; }
    ConfigureScreen #panes > .pane.-active { display: block; }
    ConfigureScreen.-medium #panes > #layers { display: block; width: 11fr; }
    ConfigureScreen.-medium #panes > .pane.-beside { display: block; width: 9fr; }
    ConfigureScreen.-medium #panes > .pane.-active.-beside { display: block; }
    ConfigureScreen.-short #bar { display: none; }
    ConfigureScreen.-short #cost { margin-bottom: 0; max-height: 2; }
    ConfigureScreen.-short #rules { max-height: 3; margin-top: 0; }
    ConfigureScreen.-short Cautions, ConfigureScreen.-short #problems { max-height: 3; }
    ConfigureScreen.-short Cautions { text-wrap: nowrap; text-overflow: ellipsis; }
    ConfigureScreen.-wide #tabs { display: none; }
    ConfigureScreen.-wide #panes { layout: grid; grid-size: 3 4; grid-columns: 6fr 4fr 5fr; grid-rows: 1fr; }
    ConfigureScreen.-wide #panes > .pane { display: block; width: 100%; }
    ConfigureScreen.-wide #training { row-span: 4; }
    ConfigureScreen.-wide #layers { row-span: 3; }
    ConfigureScreen.-wide #data, ConfigureScreen.-wide #augment { row-span: 2; }
    ConfigureScreen #problems { height: auto; max-height: 4; padding: 0 1; color: $error; display: none; }
    ConfigureScreen #problems.-any { display: block; }
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._saved = draft
        self.form = Form(draft, {}, None, (), "")
        self._structure: Structure | None = None
        self._split_sizes: dict[str, int] | None = None  # of the data that are shown, once they are known
        self._asked: dict[str, str] = {}
        self._sources: dict[str, str] = {}  # of what is shown, by kind: the raw tables that it follows from
        self._fetched: set[str] = set()
        self._timed = ""
        self._before: Draft | None = None  # the draft that an advice was applied to
        self._able: tuple[bool, bool] | None = None

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="head"):
            yield Static(id="title")
            yield Button("Run", id="run", variant="primary", compact=True)
        with Horizontal(id="choices"):
            yield Label("Profile")
            yield Choice([_NO_PROFILE], id="profile")
            yield Horizontal(id="phases")
            yield Static(id="changes", markup=False)
        with Horizontal(id="arm-line"):
            yield Label("Arm")
            yield Choice([_ALL_ARMS], id="arm")
            yield Static(id="overrides", markup=False)
        yield Tabs(*(Tab(label, id=name) for name, label in _PANES.items()), id="tabs")
        with Container(id="panes"):
            yield LayersPane()
            yield TrainingPane()
            yield DataPane()
            yield AugmentPane()
            yield ModelPane()
        yield Cautions()
        yield Static(id="problems", markup=False)

    def on_mount(self) -> None:
        self._inspector = Inspector(offline=self.app.offline)
        draft = self.form.draft
        profiles: list[str] = []
        with suppress(RecipeError):
            profiles = recipe.profiles(draft.path)
        self._offer_profiles(profiles)
        self._go_to("layers")
        self.call_after_refresh(self._go_home)
        self.call_after_refresh(self._take, draft)

    def _offer_profiles(self, names: Sequence[str]) -> None:
        choice = self.query_one("#profile", Choice)
        choice.choices = (*names, _NO_PROFILE)
        choice.value = self.form.draft.profile or _NO_PROFILE

    async def on_unmount(self) -> None:
        self.workers.cancel_node(self)  # before they hear that the process has ended
        await self._inspector.close()

    # The draft and what the panes show of it

    def _choose_arm(self, arm: str | None) -> None:
        """Show an arm as it is resolved, to be changed alone, or the recipe, whose changes go to all arms."""
        self.form = replace(self.form, arm=arm)
        self._take(self.form.draft)

    def _take(self, draft: Draft, phase: str | None = None, *, keep_typed: bool = True) -> None:
        """Make a draft the one that is shown. keep_typed: whether a field that is being typed into stays as it is."""
        try:
            self.form = Form.of(draft, phase or self.form.phase, self.form.arm)
        except RecipeError as error:
            self.form = replace(self.form, draft=draft, recipe=None, problems=tuple(error.problems))
        self._show(keep_typed=keep_typed)
        self._ask()

    def _show(self, *, keep_typed: bool) -> None:
        form = self.form
        name = Content.assemble(
            (form.draft.path.stem, "bold"), (f"  {form.tables.get('title', '')}", "$foreground 60%")
        )
        count = len(form.draft.changes)
        self._tell("#title", name)
        self._tell("#changes", f"{count} change{'' if count == 1 else 's'}" if count else "")
        self._show_phases()
        self._show_arm()
        for line in self.query(FieldLine):
            line.show(form.value(form.key(line.field.key)), keep_typed=keep_typed)
        self.query_one(LayersPane).show(form, keep_typed=keep_typed)
        self.query_one(TrainingPane).show(form)
        self.query_one(DataPane).show(form)
        self.query_one(AugmentPane).show(form)
        self.query_one(ModelPane).show(form)
        self._complain()

    def _tell(self, selector: str, text: str | Content) -> None:
        """Put a text where it belongs, unless it stands there already: each time costs a layout of the screen."""
        place = self.query_one(selector, Static)
        if place.content != text:
            place.update(text)

    def _show_phases(self) -> None:
        """Name the phases, if there are several, so that a click chooses one."""
        place, names = self.query_one("#phases"), self.form.phases if len(self.form.phases) > 1 else []
        if [chip.phase for chip in place.query(_PhaseChip)] != names:
            place.remove_children()
            place.mount_all([*[Label("Phase")] * bool(names), *map(_PhaseChip, names)])
        for chip in place.query(_PhaseChip):
            chip.set_class(chip.phase == self.form.phase, "-here")

    def _show_arm(self) -> None:
        """Name the arm that is shown, if there are any, and what it overrides."""
        form = self.form
        self.query_one("#arm-line").set_class(bool(form.arms), "-any")
        choice = self.query_one("#arm", Choice)
        choice.choices = (_ALL_ARMS, *form.arms)
        choice.value = form.arm or _ALL_ARMS
        if form.arm is None:
            told = Content(f"{len(form.arms)} arms; what is changed here is changed in each")
        elif form.recipe:
            told = recipe_words.arms_words(form.arms, form.recipe)[form.arm]
        else:
            told = Content()
        self._tell("#overrides", told)

    def _complain(self) -> None:
        """Show each problem where it belongs, and all of them in a few words at the bottom."""
        form, problems = self.form, self.problems
        here = [problem for problem in problems if edits.arm_of(problem) in (None, form.arm)]
        lines = {form.key(line.field.key): line for line in self.query(FieldLine)}
        rules_key, phase_key = form.key("phase.layers"), f"phase.{form.phase}"
        messages, _ = edits.placed(here, [*lines, rules_key, phase_key])
        # What is wrong with a phase as a whole is its length.
        if whole := messages.pop(phase_key, None):
            messages.setdefault(form.key("phase.epochs"), whole)
        for key, line in lines.items():
            line.complain(messages.get(key))
        self.query_one(LayersPane).complain(messages.get(rules_key))
        for name in _PANES:
            pane = self.query_one(f"#{name}")
            wrong = any(line.has_class("-wrong") for line in pane.query(FieldLine)) or pane.has_class("-wrong")
            self.query_one("#tabs", Tabs).query_one(f"Tab#{name}").set_class(wrong, "-wrong")
        self.query_one("#problems").set_class(bool(problems), "-any")
        self._tell("#problems", "\n".join(map(_in_short, problems)))
        units = self._structure.units if self._structure else None
        found = cautions.of_recipe(form.recipe, self._split_sizes, units) if form.recipe else []
        self.query_one(Cautions).show(found)
        button = self.query_one("#run", Button)
        button.disabled = bool(problems)
        able = (not problems, bool(self._missing()))
        if able != self._able:
            self._able = able
            self.refresh_bindings()
        button.tooltip = Content("\n".join(map(_in_short, problems)) or "Start the run (ctrl+r)")

    @property
    def problems(self) -> list[Problem]:
        """Why the draft cannot run, as far as is known: its keys, and what the model has no layers for."""
        found = list(self.form.problems)
        if self._structure and self.form.recipe:
            for phase in self.form.recipe.phase:
                choice = layers.choose(self._structure, phase.layers)
                found += [Problem("", f"phase.{phase.name}.layers", message) for message in choice.problems()]
        return found

    def _change(self, key: str, value: Any) -> None:
        self._before = None
        self._take(edits.changed(self.form.draft, key, value, self.form.arm))

    # What the user does

    @on(FieldLine.Changed)
    def _field_changed(self, event: FieldLine.Changed) -> None:
        if event.line.field.key == "phase.name":
            self._rename(event.line, event.value)
        else:
            self._change(self.form.key(event.line.field.key), event.value)

    def _rename(self, line: FieldLine, name: Any) -> None:
        form = self.form
        if name == form.phase:
            self._complain()
            return
        wrong = edits.wrong_name(name, form.phases)
        if wrong:
            line.complain(wrong)
        else:
            self._take(edits.phase_renamed(form.draft, form.phase, name, form.arm), name)

    @on(FieldLine.Explain)
    def _explain(self, event: FieldLine.Explain) -> None:
        self.app.push_screen(MeaningScreen(event.line.field))

    @on(FieldLine.Browse)
    def _browse(self, event: FieldLine.Browse) -> None:
        """Choose data or a pretrained model from what suits the task."""
        line, now = event.line, str(self.form.value(event.line.field.key) or "")
        is_data = line.field.key == "data.source"

        def picked(offer: Offer, path: Path | None) -> None:
            if path is not None:
                line.put(f"{offer.value}{path}")

        def chosen(offer: Offer | None) -> None:
            if offer is None:
                return
            if offer.suffixes is None:
                line.put(offer.value)
                return
            what = "file" if offer.suffixes else "folder"
            resolved = self.form.recipe
            held = now if resolved is None else resolved.data.source if is_data else resolved.model.preset
            screen = PickFile(f"Which {what}?", offers.start_folder(held), offer.suffixes)
            self.app.push_screen(screen, lambda path: picked(offer, path))

        given = (offers.source_offers if is_data else offers.preset_offers)(self.form.task)
        self.app.push_screen(Choose("Data" if is_data else "Pretrained model", given, now), chosen)

    @on(LayersPane.Changed)
    def _rules_changed(self, event: LayersPane.Changed) -> None:
        self._change(self.form.key("phase.layers"), event.rules)

    @on(AugmentPane.Used)
    def _augment_used(self, event: AugmentPane.Used) -> None:
        self._take(edits.table_used(self.form.draft, "augment", event.used, self.form.arm))
        if self.form.arm and self.form.tables.get("augment") is not None and not event.used:
            self.notify("An arm cannot leave out a table that the recipe has; it can set its values.")

    @on(TrainingPane.PhaseAdded)
    def _phase_added(self) -> None:
        self._take(*edits.phase_added(self.form.draft, self.form.phase, self.form.arm))

    @on(TrainingPane.PhaseRemoved)
    def _phase_removed(self) -> None:
        self._take(edits.phase_removed(self.form.draft, self.form.phase, self.form.arm))

    @on(Choice.Changed, "#profile")
    def _profile_chosen(self, event: Choice.Changed) -> None:
        profile = None if event.value == _NO_PROFILE else event.value
        self._take(replace(self.form.draft, profile=profile))

    @on(Choice.Changed, "#arm")
    def _arm_chosen(self, event: Choice.Changed) -> None:
        self._choose_arm(None if event.value == _ALL_ARMS else event.value)

    def action_step_arm(self, by: int) -> None:
        if self.form.arms:
            names = [None, *self.form.arms]
            self._choose_arm(names[(names.index(self.form.arm) + by) % len(names)])

    @on(Tabs.TabActivated)
    def _tab_chosen(self, event: Tabs.TabActivated) -> None:
        self._go_to(event.tab.id or "layers")

    @on(Click, ".phase")
    def _phase_clicked(self, event: Click) -> None:
        if isinstance(event.widget, _PhaseChip):
            self._take(self.form.draft, event.widget.phase)

    def action_step_phase(self, by: int) -> None:
        names = self.form.phases
        if len(names) > 1:
            self._take(self.form.draft, names[(names.index(self.form.phase) + by) % len(names)])

    def action_pane(self, name: str) -> None:
        """Show a pane and put the focus into it."""
        self._go_to(name)
        # At once, so that the next letter is typed where the focus will be seen.
        self.set_focus(_first_field(self.query_one(f"#panes > #{name}")))

    def watch_focused(self, focused: Widget | None) -> None:
        """Letters that are typed with the focus nowhere would be commands: give it to the pane that is shown."""
        if focused is None and self.is_running:
            self.call_after_refresh(self._restore_focus)

    def _restore_focus(self) -> None:
        if self.focused is not None or not self.is_attached:
            return
        with suppress(NoMatches):  # of a screen that is being left
            pane = self.query_one("#panes > .-active", Widget)
            if isinstance(pane, LayersPane):
                self._go_home()
            else:
                self.set_focus(_first_field(pane))

    def _go_home(self) -> None:
        """Give the focus to the layers or, until they are known, to what chooses panes or profiles."""
        tree, tabs = self.query_one(LayerTree), self.query_one("#tabs", Tabs)
        known = self.query_one(LayersPane).choice is not None and bool(tree.region)
        self.set_focus(tree if known else tabs if tabs.display else self.query_one("#profile", Choice))

    @property
    def _at_home(self) -> bool:
        """Whether the focus is where `_go_home` leaves it until the layers are known."""
        return self.focused is None or self.focused.id in ("tabs", "profile")

    def _go_to(self, name: str) -> None:
        for each in _PANES:
            self.query_one(f"#panes > #{each}").set_class(each == name, "-active")
        # Where there is room for two, the layers stay and one of the others stands beside them.
        if name != "layers" or not self.query("#panes > .-beside"):
            for each in _PANES:
                beside = each == (name if name != "layers" else "training")
                self.query_one(f"#panes > #{each}").set_class(beside, "-beside")
        with self.prevent(Tabs.TabActivated):
            self.query_one("#tabs", Tabs).active = name

    @on(Button.Pressed, "#run")
    def action_run(self) -> None:
        # The run needs the memory. What is told here is asked for again when one comes back.
        for kind in _KINDS:
            self.workers.cancel_group(self, kind)
        self._asked.clear()
        self._rest()
        self._saved = self.form.draft  # the run keeps it
        self.app.start(self.form.draft)

    @work
    async def _rest(self) -> None:
        await self._inspector.close()

    def on_screen_resume(self) -> None:
        if self.form.tables:
            self._ask()

    def action_copy(self) -> None:
        command = self.form.draft.command()
        self.app.copy_to_clipboard(command)
        self.notify(command, title="Copied", markup=False, timeout=10)

    def action_save(self) -> None:
        draft = self.form.draft
        if self.form.recipe is None:
            self.notify("A recipe is saved once it is valid.", severity="warning")
            return
        bundled = draft.path in recipe.bundled().values()
        name = f"my-{draft.path.stem}.toml" if bundled else str(draft.path)
        self.app.push_screen(Ask("Save as", name, _wrong_file), self._save)

    def _save(self, name: str | None) -> None:
        if name is None:
            return
        path = _toml_path(name)
        if path.exists():
            text = f"{path} is there already. It is replaced as a whole, with its comments and profiles."
            dialog = Dialog("Replace the file?", text, ["Replace", "Cancel"])
            self.app.push_screen(dialog, lambda answer: self._write(path) if answer == "Replace" else None)
        else:
            self._write(path)

    def _write(self, path: Path) -> None:
        try:
            self.form.draft.save(path, replace=True)
        except (OSError, RecipeError) as error:
            self.notify(f"{path} cannot be written: {error}", severity="error", markup=False)
            return
        self.app.settings.use_recipe(path)
        self._saved = Draft(path, options=self.form.draft.options)
        self._take(self._saved)
        self._offer_profiles([])
        self.notify(str(path), title="Saved", markup=False)

    def action_back(self) -> None:
        """Leave a text for the screen's keys, or the screen; where changes would be lost, ask first."""
        if isinstance(self.focused, Input | TextArea):
            self._go_home()
        elif not self.unsaved:
            self.dismiss()
        else:
            dialog = Dialog("Leave without saving?", self.unsaved, ["Leave", "Stay"])
            self.app.push_screen(dialog, self._leave)

    @property
    def unsaved(self) -> str:
        if replace(self.form.draft, options=self._saved.options) == self._saved:  # those are no part of a recipe
            return ""
        count = len(self.form.draft.changes)
        return f"{count} change{' is' if count == 1 else 's are'} not saved." if count else "Changes are not saved."

    def _leave(self, answer: str | None) -> None:
        if answer == "Leave":
            self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "run" and self.is_mounted:
            return None if self.problems else True
        if action == "undo":
            return self._before is not None
        if action == "fetch":
            return bool(self._missing())
        return True

    # What the helper process tells

    def _ask(self) -> None:
        """Ask for what has changed since it was asked for."""
        resolved, origins = self.form.recipe, _origins(self.form)
        if resolved is None:
            if self._structure is None:
                message = "Structure, costs and previews follow once the recipe is valid."
                self.query_one(LayersPane).wait(message)
                self.query_one(DataPane).wait(message)
            for kind in [kind for kind in self._asked if self._sources[kind] != origins[kind]]:
                self.workers.cancel_group(self, kind)
                del self._asked[kind]
                self._mark_stale(kind, "As it was while the recipe was valid.")
            return
        model, data = resolved.model, resolved.data
        where = (resolved.backend, resolved.task, self._may(resolved))
        tokens = None if resolved.task == "image-classification" else (model.preset, model.sequence_length)
        wanted: dict[str, tuple[object, Callable[[Recipe], object]]] = {
            "structure": ((where, model, data.model_copy(update={"limit": None})), self._learn_structure),
            "data": ((where, data, resolved.seed, tokens), self._learn_data),
            "costs": ((where, resolved, self.form.phase), self._learn_costs),
        }
        if resolved.task == "image-classification" or (resolved.task == "text-classification" and resolved.augment):
            wanted["augment"] = ((where, data, resolved.seed, model, resolved.augment), self._learn_augment)
        for kind, (key, learn) in wanted.items():
            if self._asked.get(kind) != repr(key):
                self._asked[kind], self._sources[kind] = repr(key), origins[kind]
                self._mark_stale(kind, "reading ...")
                learn(resolved)

    def _mark_stale(self, kind: str, message: str) -> None:
        """Say at once that what is shown of a kind is not of this recipe any more."""
        match kind:
            case "structure":
                self.query_one(LayersPane).mark_stale()
            case "costs":
                self.query_one(LayersPane).mark_cost_stale()
            case "data":
                self.query_one(DataPane).mark_stale(message)
                self._know_sizes(None)
            case "augment":
                self.query_one(AugmentPane).mark_stale(message)

    def _may(self, resolved: Recipe) -> tuple[bool, bool]:
        """Whether the model and the data may be fetched without being asked to: nothing of a hub is."""
        missing = self._missing(resolved)
        return resolved.model.preset not in missing, resolved.data.source not in missing

    def _missing(self, resolved: Recipe | None = None) -> list[str]:
        """What has to be fetched from a hub and the user has not asked for."""
        resolved = resolved or self.form.recipe
        if resolved is None or self.app.offline:
            return []
        preset, source = resolved.model.preset, resolved.data.source
        on_hub = [*[preset] * presets.on_hub(preset), *[source] * sources.on_hub(source)]
        return [uri for uri in on_hub if uri not in self._fetched]

    @on(DataPane.Fetch)
    def action_fetch(self) -> None:
        """Fetch the model and the data of a hub."""
        self._fetched.update(self._missing())
        self._complain()
        self._ask()

    @work(group="structure", exclusive=True, exit_on_error=False)
    async def _learn_structure(self, resolved: Recipe) -> None:
        pane = self.query_one(LayersPane)
        await asyncio.sleep(_TYPING if self._structure else 0)
        kept = await asyncio.to_thread(structure_cache.load, resolved)
        if kept is None and not self._may(resolved)[0]:
            self._forget(f"{resolved.model.preset} comes from a hub. g fetches it and shows its layers.")
            return
        try:
            show = pane.timing if self._structure else pane.wait
            known = kept or await self._inspector.structure(resolved, self._telling(show))
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            self._forget(f"The model cannot be had. {error}\nRules can be written below; a run checks them.")
            return
        self._structure = known
        pane.know(known)
        self._complain()
        if self._at_home and self.query_one("#tabs", Tabs).active == "layers":
            self.set_focus(self.query_one(LayerTree))

    def _forget(self, message: str) -> None:
        self._structure = None
        self.query_one(LayersPane).wait(message)
        self._complain()

    @work(group="data", exclusive=True, exit_on_error=False)
    async def _learn_data(self, resolved: Recipe) -> None:
        pane = self.query_one(DataPane)
        await asyncio.sleep(_TYPING if self._structure else 0)
        if not self._may(resolved)[1]:
            pane.wait(f"{resolved.data.source} is downloaded when it is asked for.", unfetched=True)
            return
        try:
            preview = await self._inspector.data(resolved, told=self._telling(pane.mark_stale))
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            pane.wait(str(error))
            return
        pane.know(preview)
        if resolved.task != "causal-lm":  # which trains on sequences, and not on documents
            self._know_sizes(preview.sizes)
        if resolved.task != "image-classification" and self._may(resolved)[0]:
            with suppress(SupersededError, RecipeError, RunError, OSError):  # the model's pane tells why
                tokens = await self._inspector.tokens(resolved)
                pane.count(tokens)
                if tokens.sequences:
                    self._know_sizes(tokens.sequences)

    def _know_sizes(self, sizes: dict[str, int] | None) -> None:
        """Take the numbers of examples by split, from which steps and cautions follow; None while they are unknown."""
        self._split_sizes = sizes
        self.query_one(TrainingPane).know(sizes["train"] if sizes else None)
        self._complain()

    @work(group="augment", exclusive=True, exit_on_error=False)
    async def _learn_augment(self, resolved: Recipe) -> None:
        pane = self.query_one(AugmentPane)
        await asyncio.sleep(_TYPING)
        if not all(self._may(resolved)):
            pane.wait("Examples are shown when model and data are there. g fetches them.")
            return
        told = self._telling(pane.mark_stale)
        try:
            if resolved.task == "image-classification":
                pane.know(await self._inspector.augment(resolved, _EXAMPLES, VIEWS, told))
            else:
                pane.know_texts(await self._inspector.rewrite(resolved, _EXAMPLES, told))
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            pane.wait(str(error))

    @work(group="costs", exclusive=True, exit_on_error=False)
    async def _learn_costs(self, resolved: Recipe) -> None:
        pane = self.query_one(LayersPane)
        await asyncio.sleep(_TOGGLING)
        if not all(self._may(resolved)):
            pane.cost("What it costs follows from model and data. g fetches them.")
            return
        phase = self.form.phases.index(self.form.phase)
        try:
            told = await self._inspector.costs(resolved, phase, told=self._telling(pane.timing))
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            pane.cost(f"What it costs is not known: {error}" if pane.choice else "")
            return
        pane.cost(told)
        about = repr((resolved.model, resolved.data, resolved.phase[phase].batch_size, resolved.precision))
        if told.step is None and not told.data_error and self._timed != about and not self.app.live_runs:
            await asyncio.sleep(_RESTING)
            self._timed = about
            await self._time(resolved, phase)

    async def _time(self, resolved: Recipe, phase: int) -> None:
        pane = self.query_one(LayersPane)
        try:
            await self._inspector.timing(resolved, phase, self._telling(pane.timing))
        except SupersededError:
            return
        except (RecipeError, RunError, OSError) as error:
            pane.timing(f"a step cannot be timed: {error}")
            return
        pane.timing("")
        self._asked.pop("costs", None)
        self._ask()

    @work(group="timing", exclusive=True, exit_on_error=False)
    async def _time_now(self, resolved: Recipe, phase: int) -> None:
        await self._time(resolved, phase)

    def action_time(self) -> None:
        """Time a few steps of the phase as it is."""
        resolved = self.form.recipe
        if resolved and self._structure and all(self._may(resolved)):
            phase = self.form.phases.index(self.form.phase)
            self._time_now(resolved, phase)
        else:
            self.notify("Steps can be timed once the model and the data are there.")

    @on(DataPane.Advise)
    def action_advise(self) -> None:
        """Look at the data through the pretrained model, and tell which strategy fits them."""
        resolved = self.form.recipe
        if resolved is None:
            self.notify("Advice follows once the recipe is valid.")
        elif resolved.task == "causal-lm":
            self.notify("Advice is for classifiers.")
        elif not all(self._may(resolved)):
            self.notify("Advice takes the model and the data. g fetches them.")
        else:
            screen = AdviseScreen(resolved, self.form.draft, self._inspector)
            self.app.push_screen(screen, lambda draft: self._apply(draft, "The advice is set") if draft else None)

    @on(TrainingPane.FindRate)
    def action_find_rate(self) -> None:
        """Test learning rates of the chosen phase in a process of its own, and take the one that is suggested."""
        resolved = self.form.recipe
        if resolved is None or self.problems:
            self.notify("Rates can be tested once the recipe is valid.")
        elif not all(self._may(resolved)):
            self.notify("A test takes the model and the data. g fetches them.")
        else:
            index = self.form.phases.index(self.form.phase)
            phase, draft, arm = resolved.phase[index], self.form.draft, self.form.arm

            def take(rate: float | None) -> None:
                if rate is not None:
                    key, value = f"phase.{phase.name}.learning_rate", with_base_rate(phase, rate)
                    self._apply(edits.changed(draft, key, value, arm), f"The learning rate is {rate:g}")

            for kind in _KINDS:
                self.workers.cancel_group(self, kind)  # the test needs the processor
            self._asked.clear()
            self.app.push_screen(FindRate(resolved, index, offline=self.app.offline), take)

    def _apply(self, draft: Draft, what: str) -> None:
        """Make a draft that was proposed the one that is shown; until the next change, one key takes it back."""
        self._before = self.form.draft
        self._take(draft, keep_typed=False)
        self._offer_profiles(recipe.profiles(draft.path))
        self.refresh_bindings()
        self.notify(f"{what}. ctrl+z takes it back.")

    def action_undo(self) -> None:
        """Go back to the draft from before what was proposed was set."""
        if self._before is not None:
            draft, self._before = self._before, None
            self._take(draft, keep_typed=False)
            with suppress(RecipeError):
                self._offer_profiles(recipe.profiles(draft.path))
            self.refresh_bindings()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell what went wrong unforeseen; a screen that is being left has no widgets any more, which is nothing."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and self.is_attached and not isinstance(error, NoMatches):
            self.notify(f"{type(error).__name__}: {error}", severity="error", markup=False)

    def _telling(self, show: Callable[[str], None]) -> Callable[[str, int, int | None], None]:
        """What shows the helper's progress in words, while the screen is there."""

        def told(activity: str, done: int, total: int | None) -> None:
            if self.is_mounted:
                with suppress(NoMatches):
                    show(f"{activity}{f', {done / total:.0%}' if total else ''} ...")

        return told


def _origins(form: Form) -> dict[str, str]:
    """What each kind follows from, valid or not: the raw tables by the kind of what is shown of them."""
    tables = form.tables
    data = [tables.get(name) for name in ("task", "seed", "data")]
    model = [tables.get(name) for name in ("task", "backend", "model")]
    labels = [form.value(f"data.{name}") for name in ("source", "classes", "label_column")]
    rest = {name: value for name, value in tables.items() if name not in ("title", "summary")}
    found = {
        "structure": [model, labels],
        "data": data,
        "augment": [data, model, tables.get("augment")],
        "costs": [rest, form.phase],
    }
    return {kind: repr(value) for kind, value in found.items()}


def _first_field(pane: Widget) -> Widget | None:
    """The first widget of a pane that takes the focus, once the pane is shown."""
    for widget in pane.walk_children(Widget):
        around = itertools.takewhile(lambda each: each is not pane, widget.ancestors_with_self)
        if widget.focusable and all(each.display for each in around if isinstance(each, Widget)):
            return widget
    return None


class _PhaseChip(Static):
    """The name of a phase."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase, classes="phase", markup=False)
        self.phase = phase


def _in_short(problem: Problem) -> str:
    return ": ".join(filter(None, (edits.arm_of(problem), problem.key, problem.message)))


def _toml_path(name: str) -> Path:
    path = Path(name.strip()).expanduser()
    return path if path.suffix == ".toml" or path.is_dir() else path.with_name(f"{path.name}.toml")


def _wrong_file(name: str) -> str | None:
    """What is wrong with the name of a file to save to."""
    if not name.strip():
        return "a recipe has a name, such as mine.toml"
    try:
        path = _toml_path(name)
        if path.is_dir() or not path.parent.is_dir():
            return f"there is no folder {path.parent}" if not path.is_dir() else f"{path} is a folder"
        if recipe.bundled().get(path.stem) == path.absolute():
            return "this is a recipe that comes with ftapp; it keeps its file"
    except (OSError, RuntimeError, ValueError) as error:
        return f"this is no name for a file: {error}"
    return None
