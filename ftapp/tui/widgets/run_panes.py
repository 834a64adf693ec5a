"""The panes of a run: its curves, phases, layers, examples and log, and their arrangement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical

from ftapp.recipe import TASKS, Recipe
from ftapp.recipe.metrics import get_metric
from ftapp.runs.history import History
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.run_curves import make_curves
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.errors_pane import ErrorsPane
from ftapp.tui.widgets.examples_pane import ExamplesPane
from ftapp.tui.widgets.log_pane import LogPane
from ftapp.tui.widgets.phases_pane import PhasesPane
from ftapp.tui.widgets.trained_layers_pane import TrainedLayersPane

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp

_LEAST_WIDTH, _LEAST_HEIGHT = 24, 5  # cells of a group
PANES = {
    "loss": "Loss",
    "metric": "Accuracy or another metric",
    "rate": "Learning rate",
    "gradient": "Gradient norm",
    "speed": "Steps/s",
    "memory": "Memory",
    "load": "Load of the processor and the GPU",
    "phases": "Phases",
    "layers": "Layers that train",
    "examples": "Samples or answers",
    "errors": "Highest test losses",
    "log": "Log",
}


class RunPanes(Container):
    """Shows the history of a run in panes, in up to three groups: charts, facts and details.

    Args:
        run: The run, whose log and examples have panes.
    """

    SCOPED_CSS = False  # the rules depend on the size of the screen, a class of the screen
    DEFAULT_CSS = """
    RunPanes {
        layout: grid; grid-size: 2 2; grid-columns: 1fr 44; grid-rows: 4fr 1fr; height: 1fr;
        #facts { row-span: 2; }
        #loss, #metric { height: 1fr; min-height: 7; }
        #details Chart { width: 1fr; height: 100%; }
        #phases { height: auto; max-height: 40%; }
        #layers, #examples, #errors { height: auto; min-height: 3; max-height: 30%; }
        .-five > #layers, .-five > #examples, .-five > #errors { max-height: 22%; }
        #log { height: 1fr; min-height: 5; }
        &.-no-details { grid-size: 2 1; grid-rows: 1fr; }
        &.-no-facts { grid-size: 1; grid-columns: 1fr; }
        &.-no-charts { grid-size: 1; grid-columns: 1fr; grid-rows: 3fr 1fr; }
        &.-no-details #facts, &.-no-charts #facts { row-span: 1; }
        .-off, .-empty { display: none; }
    }
    .-wide RunPanes { grid-columns: 1fr 64; }
    .-short, .-low {
        RunPanes .-five { overflow-y: auto; }
        RunPanes .-five > #examples, RunPanes .-five > #errors { max-height: 9; }
    }
    .-narrow RunPanes {
        layout: vertical; overflow-y: auto;
        #charts, #facts, #details { width: 100%; height: auto; }
        #loss, #metric { height: 13; }
        #details { layout: vertical; }
        #details Chart { width: 100%; height: 9; }
        #facts > * { height: auto; max-height: 14; }
    }
    """

    app: FtApp

    def __init__(self, run: RunFolder) -> None:
        super().__init__(id="panes")
        self._run = run
        self._history: History | None = None  # another one after a resume
        self._plotted: object = None  # the lengths of what the charts show
        self._held: Literal["column", "row", ""] = ""  # the edge that is dragged

    def compose(self) -> ComposeResult:
        with Vertical(id="charts"):
            yield Chart("Loss", id="loss")
            yield Chart("Accuracy", id="metric")
        with Vertical(id="facts"):
            yield PhasesPane(id="phases")
            yield TrainedLayersPane(id="layers")
            yield ExamplesPane(id="examples")
            yield ErrorsPane(self._run, id="errors")
            yield LogPane(self._run, id="log")
        with Horizontal(id="details"):
            yield Chart("Learning rate", id="rate", smooth=False)
            yield Chart("Gradient norm", id="gradient").add_class("-empty")  # until a step has one
            yield Chart("Steps/s", id="speed")
            yield Chart("Memory, GiB", id="memory", smooth=False)
            yield Chart("Load, %", id="load", smooth=False).add_class("-empty")  # until it was measured

    def show(self, history: History, recipe: Recipe | None, status: str) -> None:
        """Show a run.

        Args:
            history: The run so far.
            recipe: Its recipe; None where it cannot be read.
            status: Its status.
        """
        self.query_one(PhasesPane).show(history, recipe, status)
        self.query_one(TrainedLayersPane).show(history)
        self.query_one(ExamplesPane).show(history)
        self.query_one("#facts").set_class(self.query_one(ErrorsPane).show(history), "-five")
        self.query_one(LogPane).show(history)
        metric = _choose_metric(history, recipe)
        chart = self.query_one("#metric", Chart)
        chart.set_class(metric is None, "-empty")
        if metric:
            chart.rename(get_metric(metric).title)
        lists = (history.steps, history.evaluations, history.phases, history.layer_changes, history.gpu_loads)
        shown = metric, len(history.processor_loads), *map(len, lists)
        if history is not self._history or shown != self._plotted:
            self._history, self._plotted = history, shown
            self._plot(history, metric)

    def hide_panes(self) -> None:
        """Hide the panes that are switched off in the settings, and groups without a visible pane."""
        for name in PANES:
            self.query_one(f"#{name}").set_class(name in self.app.settings.hidden, "-off")
        empty: dict[str, bool] = {}
        for name in ("charts", "facts", "details"):
            group = self.query_one(f"#{name}")
            empty[f"-no-{name}"] = all(pane.has_class("-off") or pane.has_class("-empty") for pane in group.children)
            group.set_class(empty[f"-no-{name}"], "-off")
        self.update_classes(empty)
        self._plotted = None  # hidden charts have no curves
        self._apply_sizes()

    def resize(self, columns: int = 0, rows: int = 0) -> None:
        """Move the edges between the groups, and remember where they are.

        Args:
            columns: By how many cells the facts become wider.
            rows: By how many cells the details become higher.
        """
        settings = self.app.settings
        if columns and self._has_columns:
            width = settings.facts_width or self.query_one("#facts").outer_size.width
            settings.facts_width = self._fit_width(width + columns)
        if rows and self._has_rows:
            height = settings.details_height or self.query_one("#details").outer_size.height
            settings.details_height = self._fit_height(height + rows)
        self._apply_sizes()
        settings.save()

    def reset_sizes(self) -> None:
        """Give the groups their usual sizes."""
        settings = self.app.settings
        settings.facts_width = settings.details_height = None
        self._apply_sizes()
        settings.save()

    @property
    def _has_columns(self) -> bool:
        return not (self.screen.has_class("-narrow") or self.has_class("-no-facts") or self.has_class("-no-charts"))

    @property
    def _has_rows(self) -> bool:
        return not (self.screen.has_class("-narrow") or self.has_class("-no-details") or self.has_class("-no-charts"))

    def _apply_sizes(self) -> None:
        """Give the groups the sizes of the settings, as far as the screen has room for them."""
        width, height = self.app.settings.facts_width, self.app.settings.details_height
        columns = f"1fr {self._fit_width(width)}" if width is not None and self._has_columns else None
        rows = f"1fr {self._fit_height(height)}" if height is not None and self._has_rows else None
        self.styles.grid_columns, self.styles.grid_rows = columns, rows

    def _fit_width(self, width: int) -> int:
        return max(_LEAST_WIDTH, min(width, self.size.width - _LEAST_WIDTH))

    def _fit_height(self, height: int) -> int:
        return max(_LEAST_HEIGHT, min(height, self.size.height - 2 * _LEAST_HEIGHT))

    def on_resize(self) -> None:
        self._apply_sizes()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of an edge between groups."""
        facts, details = self.query_one("#facts").region, self.query_one("#details").region
        if self._has_columns and event.screen_x - facts.x in (-1, 0):
            self._held = "column"
        elif self._has_rows and event.screen_y - details.y in (-1, 0) and event.screen_x < details.right:
            self._held = "row"
        else:
            return
        event.stop()
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move the edge that is held."""
        if self._held == "column":
            self.app.settings.facts_width = self._fit_width(round(self.region.right - event.screen_x))
        elif self._held == "row":
            self.app.settings.details_height = self._fit_height(round(self.region.bottom - event.screen_y))
        if self._held:
            self._apply_sizes()

    def on_mouse_up(self) -> None:
        """Let go of the edge, and remember where it is."""
        if self._held:
            self._held = ""
            self.release_mouse()
            self.app.settings.save()

    def _plot(self, history: History, metric: str | None) -> None:
        curves = make_curves(history, metric)
        for name in ("gradient", "load"):
            chart = self.query_one(f"#{name}")
            if chart.has_class("-empty") and any(len(curve.x) for curve in curves[name]):
                chart.remove_class("-empty")
                self.hide_panes()
        seams = [*(phase.first_step for phase in history.phases[1:]), *history.seams]
        for name, shown in curves.items():
            plot = self.query_one(f"#{name}", Chart)
            if plot.display:
                plot.show(shown, seams)


def _choose_metric(history: History, recipe: Recipe | None) -> str | None:
    """Choose the metric of the chart beside the loss: the task's first one, else the first of the run."""
    found = history.metrics
    wanted = [each.name for each in TASKS[recipe.task].metrics] if recipe else []
    return next((name for name in (*wanted, *found) if name in found), wanted[0] if wanted else None)
