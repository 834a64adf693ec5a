"""The first line of a run: which run it is, its status, and how long it still takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text
from textual.widgets import Static

from ftapp.common import formatting
from ftapp.recipe import Recipe
from ftapp.recipe.metrics import LOSS, get_metric, sort_names
from ftapp.runs.baselines import find_baseline
from ftapp.runs.history import History
from ftapp.tui import run_progress
from ftapp.tui.widgets.pane import theme_color

STATUS_COLORS = {
    "running": "primary",
    "waiting": "primary",
    "paused": "warning",
    "done": "success",
    "interrupted": "warning",
    "unfinished": "warning",
    "pruned": "warning",
    "failed": "error",
    "crashed": "error",
    "damaged": "error",
    "refused": "error",
}


class Headline(Static):
    """Shows the name of a run, its status, and how long it still takes."""

    def show(
        self, name: str, history: History, recipe: Recipe | None, status: str, tags: Sequence[str] = (), place: str = ""
    ) -> None:
        """Show a run.

        Args:
            name: The name of its recipe.
            history: The run so far.
            recipe: The recipe, if it can be read.
            status: As `Run.status` returns it.
            tags: Its tags.
            place: On which machine of a cluster it works, or in which queue it waits; "" for a run of this machine.
        """
        muted = theme_color(self, "secondary")
        started = history.started
        if status == "running" and history.paused:
            status = "paused"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("● ", theme_color(self, STATUS_COLORS.get(status, "foreground")))
        text.append(status, "bold").append("  ")
        text.append(name, "bold")
        if started and started.profile:
            text.append(f" {started.profile}")
        if tags:
            text.append("".join(f" #{tag}" for tag in tags), theme_color(self, "accent"))
        parts = []
        if status == "waiting":
            parts.append(place)
        elif history.ended:
            if result := history.result:
                names = sort_names(result.metrics)[:1]  # alone, so that the line has room for the rest
                parts += [f"test {_write_metric(name, result.values)}" for name in (*names, LOSS.name)]
            steps = formatting.format_quantity(history.ended.steps, "step")
            parts.append(f"{steps} in {formatting.format_duration(history.ended.seconds)}")
            if result and (baseline := find_baseline(history)) and (known := sort_names(baseline.metrics)[:1]):
                answer = formatting.escape_unprintable(baseline.answer)
                parts.append(f"{answer}: {_write_metric(known[0], baseline.metrics)}")
            if history.kept:
                parts.append(f"weights of step {history.kept.best_step}")
        elif status in ("running", "paused"):
            parts += [*self._live(history, recipe), *([place] if place else [])]
        if status == "unfinished":
            parts.append("g resumes it")
        if started:
            parts.append(f"{started.backend} {started.precision}")
        self.update(text.append("   " + "  ·  ".join(parts), muted), layout=False)

    def _live(self, history: History, recipe: Recipe | None) -> Iterator[str]:
        if recipe and history.phases and len(history.steps):
            phases = run_progress.list_phases(history, recipe)
            total = sum(phase.done if phase.ended else phase.total or 0 for phase in phases)
            yield f"step {len(history.steps)} of {total}"
            if (left := run_progress.estimate_remaining(history, recipe)) is not None:
                yield f"{'at most ' if recipe.stop else ''}about {formatting.format_duration(left)} to go"
            if speed := history.steps_per_second:
                yield f"{speed:.3g} steps/s"
            if history.gpu_loads:
                gpu = history.gpu_loads[-1]
                yield f"GPU {gpu.busy:.0%}, {gpu.used / 2**30:.1f} of {gpu.memory / 2**30:.0f} GiB"
        elif activity := history.activity:
            yield activity.activity + (f" {activity.done}/{activity.total}" if activity.total else "")
        else:
            yield "starting"


def _write_metric(name: str, values: Mapping[str, float]) -> str:
    metric = get_metric(name)
    return f"{metric.heading} {metric.format_text(values[name])}"
