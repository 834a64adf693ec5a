"""The panes of a run beside its charts: thin views of its history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.color import Color
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import RichLog, Static

from ftapp.common import formatting
from ftapp.common.safe_files import open_file
from ftapp.recipe import Recipe
from ftapp.runs import narration, run_folder
from ftapp.runs.events import Choice, Confused, PhaseEnded, Sampled
from ftapp.runs.history import History
from ftapp.runs.run_folder import Run
from ftapp.tui import outlook
from ftapp.tui.outlook import PhaseOutlook

STATUS_COLORS = {
    "running": "primary",
    "paused": "warning",
    "done": "success",
    "interrupted": "warning",
    "failed": "error",
    "crashed": "error",
    "refused": "error",
}
_LOG_LINES, _LOG_BYTES = 500, 100_000
_BLOCK = 2  # characters at the end of a layer's path's first part that are always shown: the block's number
_NAME = 12  # characters of a class's name beside the confusion matrix


class Pane(VerticalScroll, can_focus=True):
    """A titled box with text in it, which scrolls."""

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = title
        self._text = Static(markup=False)
        self._again: Callable[[], None] | None = None  # shows once more what it shows

    def on_resize(self) -> None:
        if self._again:  # what is shown depends on the width
            self._again()

    def compose(self) -> ComposeResult:
        yield self._text

    def put(self, content: RenderableType, *, layout: bool = True) -> None:
        """Show this in place of what was there. layout: whether it may take more or less room than that did."""
        self._text.update(content, layout=layout)

    def color(self, name: str) -> str:
        """A colour of the theme, as Rich takes it."""
        return _color(self, name)


def _color(widget: Widget, name: str) -> str:
    value = widget.app.theme_variables.get(name, "")
    return value if value.startswith("#") else "default"


class Headline(Static):
    """One line: which run this is, how it stands, and how long it has to go."""

    def show(self, name: str, history: History, recipe: Recipe | None, status: str) -> None:
        """Tell the run's standing. name: its recipe's; status: as `Run.status` has it."""
        muted = _color(self, "secondary")
        started = history.started
        if status == "running" and history.paused:
            status = "paused"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("● ", _color(self, STATUS_COLORS.get(status, "foreground")))
        text.append(status, "bold").append("  ")
        text.append(name, "bold")
        if started and started.profile:
            text.append(f" {started.profile}")
        parts = []
        if history.ended:
            if result := history.result:
                if result.accuracy is not None:
                    parts.append(f"test accuracy {result.accuracy:.2%}")
                parts.append(f"test loss {result.loss:.4f}")
            parts.append(f"{history.ended.steps} steps in {formatting.duration(history.ended.seconds)}")
        elif status in ("running", "paused"):
            parts += list(self._live(history, recipe))
        if started:
            parts.append(f"{started.backend} {started.precision}")
        self.update(text.append("   " + "  ·  ".join(parts), muted), layout=False)

    def _live(self, history: History, recipe: Recipe | None) -> Iterator[str]:
        if recipe and history.phases and len(history.steps):
            total = sum(phase.total or 0 for phase in outlook.phases(history, recipe))
            yield f"step {len(history.steps)} of {total}"
            if (left := outlook.remaining(history, recipe)) is not None:
                yield f"about {formatting.duration(left)} to go"
            if speed := history.steps_per_second:
                yield f"{speed:.3g} steps/s"
        elif activity := history.activity:
            yield activity.activity + (f" {activity.done}/{activity.total}" if activity.total else "")
        else:
            yield "starting"


class Trouble(Static):
    """Why a run did not end well, with the last lines of its log, or why it stands still. Not there for other runs."""

    DEFAULT_CSS = """
    Trouble {
        display: none; height: auto; max-height: 12; margin: 0 1; padding: 0 1;
        border-left: thick $error; background: $error 8%;
    }
    """

    def show(self, run: Run, history: History, status: str) -> None:
        """Tell what is wrong, if anything is."""
        waits = status == "running" and run.waits_for_room()
        self.display = waits or status in ("failed", "crashed", "refused")
        if not self.display:
            return
        if waits:
            self.update(Text(narration.FULL_DISK, "bold"))
            return
        ended = history.ended
        reason = "the run's process ended without an error message" if ended is None else ended.error or ""
        text = Text(reason, "bold")
        lines = run.last_log_lines(6 if self.app.size.height > 30 else 3) if status != "refused" else []
        if lines:
            text.append("\n" + "\n".join(lines), f"not bold {_color(self, 'text-muted')}")
        if not lines and ended is None:
            text.append("\nits log is empty or gone", "not bold")
        self.update(text)


class PhasesPane(Pane):
    """Each phase: its progress, R, whether features are kept, and the freeze proof."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Phases", id=id)
        self._shape: object = None

    def show(self, history: History, recipe: Recipe | None, status: str) -> None:
        """Show the phases as they stand. status: the run's, as `Run.status` has it."""
        self._again = partial(self.show, history, recipe, status)
        if recipe is None:
            self.put(Text("the run's recipe cannot be read", self.color("secondary")))
            return
        phases = list(outlook.phases(history, recipe))
        # What decides how many lines there are; between, only numbers and bars change.
        shape = [(phase.total, phase.started, phase.ended) for phase in phases], status, self.size.width
        parts = [part for phase in phases for part in self._lines(phase, status)]
        self.put(Group(*parts), layout=shape != self._shape)
        self._shape = shape

    def _lines(self, phase: PhaseOutlook, status: str) -> Iterator[RenderableType]:
        muted = self.color("secondary")
        total = phase.total or 0
        over = phase.ended is not None
        sign, style = _sign(phase, status)
        head = Text.assemble((f"{sign} ", self.color(style)), (phase.name, "bold"))
        if total and over and phase.done == total:
            head.append(f"  {total} steps", muted)
        else:
            head.append(f"  {phase.done} of {total} steps" if total else "  steps not known yet", muted)
        if phase.ended:
            head.append(f" in {formatting.duration(phase.ended.seconds)}", muted)
        yield head
        # What is wrapped stays below what it belongs to.
        yield from (Padding(part, (0, 0, 0, 2)) for part in self._below(phase))

    def _below(self, phase: PhaseOutlook) -> Iterator[Text]:
        """What is told of a phase below its name."""
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
            yield Text(f"R {formatting.share(share)}  {started.trainable:,} of {started.parameters:,} train", muted)
            if started.cache:
                yield Text(_cache(started.cache), muted)
        if phase.ended:
            yield self._proof(phase.ended)

    def _proof(self, ended: PhaseEnded) -> Text:
        if ended.changed or ended.stuck:
            wrong = f"{len(ended.changed)} frozen weights changed, {len(ended.stuck)} trained ones stuck"
            return Text(f"freeze proof: {wrong}", self.color("error"))
        kept = f"{ended.frozen} frozen weights bitwise unchanged" if ended.frozen else "nothing frozen"
        return Text(f"freeze proof: {kept}, {ended.moved} moved", self.color("secondary"))


def _sign(phase: PhaseOutlook, status: str) -> tuple[str, str]:
    """How a phase went, as a sign with its colour: done, failed, ended early, going on, or still to come."""
    if phase.ended and (phase.ended.changed or phase.ended.stuck):
        return "✗", "error"
    if phase.ended and not (status == "interrupted" and phase.done < (phase.total or 0)):
        return "✓", "success"
    if not phase.started:
        return "·", "secondary"
    return {"running": ("▸", "primary"), "interrupted": ("■", "warning")}.get(status, ("✗", "error"))


def _cache(choice: Choice) -> str:
    if not choice.cached or not choice.layers:
        return f"no features kept: {choice.reason}"
    return f"features up to {choice.layers[-1]} kept, {formatting.size(choice.size)}"


class LayersPane(Pane):
    """Which layers train, and how far each has moved from where it began: ||W - W0|| / ||W0||."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Layers that train", id=id)
        self._shown: object = None

    def show(self, history: History) -> None:
        """Show the latest phase's layers, with their drift once it was measured."""
        self._again = partial(self.show, history)
        if not history.phases:
            return
        phase = history.phases[-1]
        drift = next((each for each in reversed(history.drifts) if each.phase == phase.phase), None)
        if self._shown == (shown := (phase.phase, drift and drift.step, self.size.width)):
            return
        self._shown = shown
        frozen = f", {history.model.layers - len(phase.trainable_layers)} frozen" if history.model else ""
        self.border_title = "Drift of the layers that train" if drift else "Layers that train"
        self.border_subtitle = Content(f"{len(phase.trainable_layers)} train{frozen}")
        values = drift.since_start if drift else [None] * len(phase.trainable_layers)
        most = max((value for value in values if value is not None), default=0.0) or 1.0
        room = max(24, self.size.width - 4)
        longest = max(map(len, phase.trainable_layers), default=0)
        names = min(longest, room - 15)
        width = max(4, room - names - 9)
        table = Table.grid(padding=(0, 1, 0, 0))
        for path, value in zip_longest(phase.trainable_layers, values[: len(phase.trainable_layers)]):
            filled = 0 if value is None else round(width * value / most)
            bar = Text.assemble(("━" * filled, self.color("primary")), ("━" * (width - filled), self.color("panel")))
            told = Text("" if value is None else _two_digits(value), self.color("secondary"), justify="right")
            table.add_row(Text(_short(path, names)), *([bar, told] if drift else []))
        self.put(table)


def _two_digits(value: float) -> str:
    """A number with two digits, also where the second is 0: 0.80, 1.4, 32."""
    return f"{value:#.2g}".rstrip(".")


def _short(path: str, width: int) -> str:
    """A layer's path in at most so many characters: the ends of its first and of its last part tell layers apart."""
    if len(path) <= width:
        return path
    first, *_, last = path.split("/") if "/" in path else ("", path)
    if not first:
        return f"…{path[-width + 1 :]}"
    room = max(min(len(first), _BLOCK), width - len(last) - 2)
    name = f"{first if len(first) <= room else f'…{first[-room:]}'}/"
    room = width - len(name)
    return name + (last if len(last) <= room else f"…{last[-room + 1 :]}")


class ExamplesPane(Pane):
    """What a language model wrote, or which classes a classifier takes for which."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Samples", id=id)
        self._shown: object = None

    def show(self, history: History) -> None:
        """Show the samples, the newest first, or the latest confusion matrix."""
        self._again = partial(self.show, history)
        self.set_class(not (history.samples or history.confusions), "-empty")
        if self._shown == (shown := (len(history.samples), len(history.confusions), self.size.width)):
            return
        self._shown = shown
        classes = history.data.classes if history.data else []
        if history.confusions and classes and len(history.confusions[-1].counts) == len(classes):
            self._confusion(history.confusions[-1], classes)
        else:
            self._samples(history.samples)

    def _samples(self, samples: Sequence[Sampled]) -> None:
        self.border_title = "Samples"
        parts: list[RenderableType] = []
        for sample in reversed(samples):
            text = Text(f"after {sample.step} steps  ", self.color("secondary"))
            text.append(sample.prompt, f"bold {self.color('foreground')}")
            written = " ".join(formatting.printable(sample.text.removeprefix(sample.prompt)).split())
            text.append(f" {written}", self.color("foreground"))
            parts += [text, Text()]
        self.put(Group(*parts))

    def _confusion(self, event: Confused, classes: Sequence[str]) -> None:
        """Rows are true classes, columns predicted ones; the darker the ground, the larger the row's share."""
        self.border_title = "Confusion, true classes in rows"
        self.border_subtitle = Content(f"{event.split}, step {event.step}")
        names = [name if len(name) <= _NAME else name[: _NAME - 1] + "…" for name in classes]
        label, room = max(map(len, names)), self.size.width - 4
        digits = max(len(str(count)) for row in event.counts for count in row)
        # Whole names over the columns where there is room, else as much of them as the numbers leave.
        fitting = [cell for cell in (label + 1, digits + 1) if cell > digits and label + 1 + cell * len(names) <= room]
        if not fitting:
            self.put(self._mistakes(event, classes))
            return
        cell = max(3, fitting[0])
        ground, right, wrong = (Color.parse(self.color(name)) for name in ("background", "primary", "error"))
        heads = [name[: cell - 1] for name in names]
        text = Text(" " * (label + 1) + "".join(head.rjust(cell) for head in heads) + "\n", self.color("secondary"))
        for index, (name, row) in enumerate(zip(names, event.counts, strict=True)):
            text.append(name.rjust(label) + " ", self.color("secondary"))
            for column, count in enumerate(row):
                share = count / max(1, sum(row))
                shade = ground.blend(right if column == index else wrong, 0.75 * share)
                number = f"{count or '·'}".rjust(cell - 1) + " "
                text.append(
                    number, f"{shade.get_contrast_text().hex6 if count else self.color('panel')} on {shade.hex6}"
                )
            text.append("\n")
        self.put(text)

    def _mistakes(self, event: Confused, classes: Sequence[str]) -> RenderableType:
        """The most frequent confusions, where there are too many classes for a matrix."""
        found = sorted(
            ((count, true, predicted) for true, row in enumerate(event.counts) for predicted, count in enumerate(row)),
            reverse=True,
        )
        wrong = [each for each in found if each[1] != each[2] and each[0]][:_LOG_LINES]
        right = sum(row[index] for index, row in enumerate(event.counts))
        total = sum(map(sum, event.counts))
        lines = [Text(f"{right} of {total} right; most often wrong:" if wrong else f"all {total} right")]
        lines += [
            Text.assemble((f"{count:>5}  ", self.color("error")), f"{classes[true]} taken for {classes[predicted]}")
            for count, true, predicted in wrong
        ]
        return Group(*lines)


class LogPane(RichLog):
    """What the run told, with the time of day, and what its process printed."""

    def __init__(self, run: Run, *, id: str) -> None:
        super().__init__(id=id, classes="pane", max_lines=_LOG_LINES, min_width=0, wrap=True, auto_scroll=False)
        self.border_title = "Log"
        self._run = run
        self._told = 0
        self._printed = 0  # bytes of train.log
        self._width = 0  # that its lines are wrapped to
        self._history = History()

    def show(self, history: History) -> None:
        """Add what has come since the last time; all again where lines have got another width."""
        self._history = history
        if self._width != self.size.width:
            self._width, self._told, self._printed = self.size.width, 0, 0
            self.clear()
        muted = _color(self, "secondary")
        follows = self.is_vertical_scroll_end  # nobody has scrolled up to read
        for line in run_folder.telling(self._new_output()):
            self.write(Text(formatting.printable(line), muted))
        happened = history.happened()
        for event in happened[self._told :]:
            clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S ")
            for line in narration.lines(event):
                self.write(Text.assemble((clock, muted), line))
        self._told = len(happened)
        if follows:
            self._to_end()

    @on(events.Resize)
    def _resized(self) -> None:
        self.show(self._history)
        self._to_end()

    def _to_end(self) -> None:
        self.call_after_refresh(self.scroll_end, animate=False)

    def _new_output(self) -> list[str]:
        """The lines that the process has printed since the last time; of a long log only the end."""
        try:
            with open_file(self._run.log_file) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._printed, size - _LOG_BYTES))
                data = file.read()
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        self._printed = size - len(data) + end
        return data[:end].decode("utf-8", errors="replace").splitlines()
