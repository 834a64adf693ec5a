"""The previews of Configure: what the helper process tells of a draft's model, data, augmentation and costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from textual.css.query import NoMatches
from textual.worker import WorkType

from ftapp.common.errors import RecipeError, RunError
from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.raw_tables import DESCRIPTIVE_KEYS
from ftapp.recipe.structure import Structure
from ftapp.rpc import structure_cache
from ftapp.rpc.inspector_client import InspectorClient
from ftapp.rpc.service import SupersededError
from ftapp.tui.editor.augment_pane import VIEWS, AugmentPane
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.hub_permission import HubPermission
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.editor.training_pane import TrainingPane

if TYPE_CHECKING:
    from ftapp.tui.editor.configure import ConfigureScreen

_TYPING = 0.3  # seconds without a key press before a preview is requested
_TOGGLING = 0.1
_RESTING = 1.5  # seconds without a change before a few steps are timed
_EXAMPLES = 3  # images or texts in the preview of the augmentation
_KINDS = ("structure", "data", "augment", "costs", "timing")
_FAILURES = (RecipeError, RunError, OSError)


class Previews:
    """Requests previews of a draft, and hands the answers to the panes of the screen.

    A preview is requested again only when its inputs have changed. Until the answer comes, the former one is faint.

    Attributes:
        structure: The layers of the model, None while they are unknown.
        split_sizes: The number of examples by split, None while it is unknown.
        hub: What may be downloaded.
    """

    def __init__(self, screen: ConfigureScreen) -> None:
        self.structure: Structure | None = None
        self.split_sizes: dict[str, int] | None = None
        self.hub = HubPermission()
        self._screen = screen
        self._requested: dict[str, str] = {}  # the resolved inputs by kind
        self._inputs: dict[str, str] = {}  # the raw tables behind them by kind
        self._timed = ""

    @cached_property
    def inspector(self) -> InspectorClient:
        """The helper process."""
        return InspectorClient(offline=self._screen.app.offline)

    def find_missing(self, recipe: Recipe | None) -> list[str]:
        """Find what has to be fetched from a hub before all previews can be shown."""
        return [] if recipe is None or self._screen.app.offline else self.hub.find_missing(recipe)

    def has_all(self, recipe: Recipe) -> bool:
        """Whether model and data need no further permission to be fetched."""
        return not self.find_missing(recipe)

    def cancel(self) -> None:
        """End all requests. They are sent again by the next `request`."""
        for kind in _KINDS:
            self._screen.workers.cancel_group(self._screen, kind)
        self._requested.clear()

    def pause(self) -> None:
        """End all requests and the helper process, until the next `request`."""
        self.cancel()
        self._run("pause", self.close)

    async def close(self) -> None:
        """End the helper process."""
        await self.inspector.close()

    def request(self, form: Form) -> None:
        """Request the previews whose inputs differ from those of the last request."""
        recipe, inputs = form.recipe, _raw_inputs(form)
        if recipe is None:
            self._wait_for_valid(inputs)
            return
        model, data = recipe.model, recipe.data
        missing = self.find_missing(recipe)
        where = (recipe.backend, recipe.task, model.preset in missing, data.source in missing)
        task = TASKS[recipe.task]
        tokens = None if task.inputs == "images" else (model.preset, model.sequence_length)
        wanted: dict[str, tuple[object, Callable[[Recipe], Coroutine[None, None, None]]]] = {
            "structure": ((where, model, data.model_copy(update={"limit": None})), self._load_structure),
            "data": ((where, data, recipe.seed, tokens), self._load_data),
            "costs": ((where, recipe, form.phase), self._load_costs),
        }
        if task.augmentations and (task.inputs == "images" or recipe.augment):
            wanted["augment"] = ((where, data, recipe.seed, model, recipe.augment), self._load_augment)
        for kind, (key, load) in wanted.items():
            if self._requested.get(kind) != repr(key):
                self._requested[kind], self._inputs[kind] = repr(key), inputs[kind]
                self._mark_stale(kind, "reading ...")
                self._run(kind, partial(load, recipe))

    def time_steps(self, recipe: Recipe) -> None:
        """Time a few steps of the phase that is shown, at once."""
        self._run("timing", partial(self._load_timing, recipe, self._phase_index()))

    def _run(self, kind: str, work: WorkType[None]) -> None:
        self._screen.run_worker(work, group=kind, exclusive=True, exit_on_error=False)

    def _wait_for_valid(self, inputs: dict[str, str]) -> None:
        screen = self._screen
        if self.structure is None:
            message = "Structure, costs and previews follow once the recipe is valid."
            screen.query_one(LayersPane).wait(message)
            screen.query_one(DataPane).wait(message)
        for kind in [kind for kind in self._requested if self._inputs[kind] != inputs[kind]]:
            screen.workers.cancel_group(screen, kind)
            del self._requested[kind]
            self._mark_stale(kind, "This is the state of the last valid recipe.")

    def _mark_stale(self, kind: str, message: str) -> None:
        """Make a preview faint whose inputs have changed."""
        screen = self._screen
        match kind:
            case "structure":
                screen.query_one(LayersPane).mark_stale()
            case "costs":
                screen.query_one(LayersPane).mark_cost_stale()
            case "data":
                screen.query_one(DataPane).mark_stale(message)
                self._set_split_sizes(None)
            case "augment":
                screen.query_one(AugmentPane).mark_stale(message)

    def _phase_index(self) -> int:
        return self._screen.form.phases.index(self._screen.form.phase)

    async def _load_structure(self, recipe: Recipe) -> None:
        pane = self._screen.query_one(LayersPane)
        await asyncio.sleep(_TYPING if self.structure else 0)
        kept = await asyncio.to_thread(structure_cache.load, recipe)
        if kept is None and recipe.model.preset in self.find_missing(recipe):
            self._forget_structure(f"{recipe.model.preset} comes from a hub. g fetches it and shows its layers.")
            return
        try:
            show = pane.timing if self.structure else pane.wait
            structure = kept or await self.inspector.describe_structure(recipe, self._report_to(show))
        except SupersededError:
            return
        except _FAILURES as error:
            message = f"The model could not be loaded: {error}\nYou can write rules below. A run checks them."
            self._forget_structure(message)
            return
        self.structure = structure
        pane.know(structure)
        self._screen.show_problems()
        self._screen.focus_layers()

    def _forget_structure(self, message: str) -> None:
        self.structure = None
        self._screen.query_one(LayersPane).wait(message)
        self._screen.show_problems()

    async def _load_data(self, recipe: Recipe) -> None:
        pane = self._screen.query_one(DataPane)
        await asyncio.sleep(_TYPING if self.structure else 0)
        missing = self.find_missing(recipe)
        if recipe.data.source in missing:
            pane.wait(f"{recipe.data.source} is not downloaded yet. g fetches it.", unfetched=True)
            return
        try:
            preview = await self.inspector.preview_data(recipe, progress=self._report_to(pane.mark_stale))
        except SupersededError:
            return
        except _FAILURES as error:
            pane.wait(str(error))
            return
        pane.know(preview)
        if TASKS[recipe.task].splitter != "documents":  # of which a model trains on sequences
            self._set_split_sizes(preview.sizes)
        if TASKS[recipe.task].inputs == "texts" and recipe.model.preset not in missing:
            with suppress(SupersededError, *_FAILURES):  # the pane of the layers shows the reason
                tokens = await self.inspector.count_tokens(recipe)
                pane.count(tokens)
                if tokens.sequences:
                    self._set_split_sizes(tokens.sequences)

    def _set_split_sizes(self, sizes: dict[str, int] | None) -> None:
        """Keep the numbers of examples, from which the steps of an epoch and cautions follow."""
        self.split_sizes = sizes
        self._screen.query_one(TrainingPane).know(sizes["train"] if sizes else None)
        self._screen.show_problems()

    async def _load_augment(self, recipe: Recipe) -> None:
        pane = self._screen.query_one(AugmentPane)
        await asyncio.sleep(_TYPING)
        if not self.has_all(recipe):
            pane.wait("Examples are shown when model and data are there. g fetches them.")
            return
        report = self._report_to(pane.mark_stale)
        try:
            if TASKS[recipe.task].inputs == "images":
                pane.know(await self.inspector.augment(recipe, _EXAMPLES, VIEWS, report))
            else:
                pane.know_texts(await self.inspector.rewrite(recipe, _EXAMPLES, report))
        except SupersededError:
            return
        except _FAILURES as error:
            pane.wait(str(error))

    async def _load_costs(self, recipe: Recipe) -> None:
        pane = self._screen.query_one(LayersPane)
        await asyncio.sleep(_TOGGLING)
        if not self.has_all(recipe):
            pane.cost("Costs follow from model and data. g fetches them.")
            return
        phase = self._phase_index()
        try:
            costs = await self.inspector.estimate_costs(recipe, phase, progress=self._report_to(pane.timing))
        except SupersededError:
            return
        except _FAILURES as error:
            pane.cost(f"The costs are unknown: {error}" if pane.choice else "")
            return
        pane.cost(costs)
        inputs = repr((recipe.model, recipe.data, recipe.phase[phase].batch_size, recipe.precision))
        is_due = costs.step is None and not costs.data_error and self._timed != inputs
        if is_due and not self._screen.app.live_runs:
            await asyncio.sleep(_RESTING)
            self._timed = inputs
            await self._load_timing(recipe, phase)

    async def _load_timing(self, recipe: Recipe, phase: int) -> None:
        pane = self._screen.query_one(LayersPane)
        try:
            await self.inspector.time_phase(recipe, phase, self._report_to(pane.timing))
        except SupersededError:
            return
        except _FAILURES as error:
            pane.timing(f"a step could not be timed: {error}")
            return
        pane.timing("")
        self._requested.pop("costs", None)
        self.request(self._screen.form)

    def _report_to(self, show: Callable[[str], None]) -> Callable[[str, int, int | None], None]:
        """Make a callback that shows the helper's progress in words, while the screen is there."""

        def report(activity: str, done: int, total: int | None) -> None:
            if self._screen.is_mounted:
                with suppress(NoMatches):
                    show(f"{activity}{f', {done / total:.0%}' if total else ''} ...")

        return report


def _raw_inputs(form: Form) -> dict[str, str]:
    """The raw tables, valid or not, that each kind of preview follows from."""
    tables = form.tables
    data = [tables.get(name) for name in ("task", "seed", "data")]
    model = [tables.get(name) for name in ("task", "backend", "model")]
    labels = [form.value(f"data.{name}") for name in ("source", "classes", "label_column")]
    rest = {name: value for name, value in tables.items() if name not in DESCRIPTIVE_KEYS}
    found = {
        "structure": [model, labels],
        "data": data,
        "augment": [data, model, tables.get("augment")],
        "costs": [rest, form.phase],
    }
    return {kind: repr(value) for kind, value in found.items()}
