"""The phases of a run: progress, trainable share, cached features, the freeze proof, and the newest checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from textual.content import Content

from ftapp.common import formatting
from ftapp.recipe import Recipe
from ftapp.runs.events import StateSaved
from ftapp.runs.history import History
from ftapp.runs.phase_events import CacheChoice, LayersChanged, PhaseEnded
from ftapp.tui import run_progress
from ftapp.tui.run_progress import PhaseProgress
from ftapp.tui.widgets.pane import Pane

_ENDED_EARLY = ("interrupted", "unfinished", "pruned")


class PhasesPane(Pane):
    """Shows the progress of each phase, R, the cached features, and the freeze proof."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Phases", id=id)
        self._shape: object = None

    def show(self, history: History, recipe: Recipe | None, status: str) -> None:
        """Show the phases.

        Args:
            history: The run so far.
            recipe: The recipe, if it can be read.
            status: As `Run.status` returns it.
        """
        self._again = partial(self.show, history, recipe, status)
        self.border_subtitle = Content(_describe_state(history.state, status))
        if recipe is None:
            self.put(Text("the recipe of this run cannot be read", self.color("secondary")))
            return
        phases = list(run_progress.list_phases(history, recipe))
        # The number of lines depends on these; between their changes, only numbers and bars change.
        shape = [(each.total, each.started, each.ended) for each in phases], status, self.size.width
        parts = [part for phase in phases for part in self._lines(phase, status, history.layer_changes)]
        self.put(Group(*parts), layout=shape != self._shape)
        self._shape = shape

    def _lines(self, phase: PhaseProgress, status: str, changes: Sequence[LayersChanged]) -> Iterator[RenderableType]:
        muted = self.color("secondary")
        total = phase.total or 0
        over = phase.ended is not None
        sign, style = _choose_sign(phase, status)
        head = Text.assemble((f"{sign} ", self.color(style)), (phase.name, "bold"))
        if total and over and phase.done == total:
            head.append(f"  {formatting.format_quantity(total, 'step')}", muted)
        else:
            head.append(
                f"  {phase.done} of {formatting.format_quantity(total, 'step')}" if total else "  steps not known yet",
                muted,
            )
        if phase.ended:
            head.append(f" in {formatting.format_duration(phase.ended.seconds)}", muted)
        yield head
        # Wrapped lines stay below the phase.
        yield from (Padding(part, (0, 0, 0, 2)) for part in self._below(phase))
        for change in changes:
            if change.phase == phase.name:
                rules = ", ".join(change.rules)
                yield Padding(Text(f"from step {change.step + 1}: {rules}", muted), (0, 0, 0, 2))

    def _below(self, phase: PhaseProgress) -> Iterator[Text]:
        """The lines below the name of a phase."""
        muted, total = self.color("secondary"), phase.total or 0
        if phase.started:
            if phase.ended is None:
                width = max(8, self.size.width - 6)
                filled = round(width * phase.done / total) if total else 0
                yield Text.assemble(
                    ("━" * filled, self.color("primary")), ("━" * (width - filled), self.color("panel"))
                )
            started = phase.started
            share = started.trainable / started.parameters
            yield Text(
                f"R {formatting.format_share(share)}  {started.trainable:,} of {started.parameters:,} train", muted
            )
            if started.cache:
                yield Text(_describe_cache(started.cache), muted)
        if phase.ended:
            if phase.ended.stopped:
                yield Text(f"ended early: {phase.ended.stopped}", muted)
            yield self._proof(phase.ended)

    def _proof(self, ended: PhaseEnded) -> Text:
        if ended.changed or ended.stuck:
            wrong = f"{len(ended.changed)} frozen weights changed, {len(ended.stuck)} trainable weights did not"
            return Text(f"freeze proof: {wrong}", self.color("error"))
        kept = f"{ended.frozen} frozen unchanged" if ended.frozen else "nothing frozen"
        return Text(f"freeze proof: {kept}, {ended.moved} trained changed", self.color("secondary"))


def _choose_sign(phase: PhaseProgress, status: str) -> tuple[str, str]:
    """Choose the sign of a phase with its colour: done, failed, ended early, running, or still to come."""
    if phase.ended and (phase.ended.changed or phase.ended.stuck):
        return "✗", "error"
    is_cut = status in _ENDED_EARLY and phase.done < (phase.total or 0)
    if phase.ended and (phase.ended.stopped or not is_cut):
        return "✓", "success"
    if not phase.started:
        return "·", "secondary"
    if status in _ENDED_EARLY:
        return "■", "warning"
    return ("▸", "primary") if status == "running" else ("✗", "error")


def _describe_state(state: StateSaved | None, status: str) -> str:
    """Describe the newest checkpoint, with its age while the run is running."""
    if state is None:
        return ""
    age = f", {formatting.format_moment(state.time, time.time())}" if status == "running" else ""
    return f"checkpoint after step {state.step}{age}"


def _describe_cache(choice: CacheChoice) -> str:
    if not choice.cached or not choice.layers:
        return f"no cached features: {choice.reason}"
    return f"features up to {choice.layers[-1]} cached, {formatting.format_size(choice.size)}"
