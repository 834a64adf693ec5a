"""`ftapp lr-find`: starts the process of a range test, narrates it on stderr, and shows what came of it."""

from __future__ import annotations

import json
import math
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rich import box
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ftapp import recipe as recipes
from ftapp.analysis.lr_sentences import headline, unchanged
from ftapp.analysis.lr_suggestions import window
from ftapp.common.braille import Canvas
from ftapp.common.console import PlainConsole
from ftapp.common.errors import Problem, RecipeError, RunError, nearest
from ftapp.common.processes import child_environment, python_module
from ftapp.common.ticks import fit
from ftapp.recipe import Recipe
from ftapp.recipe.base_rate import override

FORMATS = (".svg", ".html")
"""Endings of the files that a plot can be written to."""

_LINE_SECONDS = 10.0
_OWN, _TAKE, _SMOOTH, _RAW = "yellow", "bold green", "cyan", "dim"
_WIDEST, _ROWS, _LABEL = 100, 12, 8  # cells of a plot, and of the labels beside it


def tested(path: Path, profile: str | None, overrides: Sequence[str], arm: str | None) -> Recipe:
    """The recipe to test, or that of one of its arms. Raises RecipeError when it is not valid or has no such arm."""
    if arm is None:
        return recipes.load(path, profile, overrides)
    arms = recipes.load_experiment(path, profile, overrides).arms
    if arm not in arms:
        choice = nearest(arm, arms) if arms else "this recipe has none"
        raise RecipeError([Problem("--arm", "", f"there is no arm '{arm}'; {choice}")])
    return arms[arm]


def check(recipe: Recipe, phase: str | None, rates: tuple[float, float], plot: Path | None) -> int:
    """The index of the phase to test, the first if none is named. Raises RecipeError with what cannot be."""
    names, problems = [each.name for each in recipe.phase], []
    if phase is not None and phase not in names:
        problems.append(Problem("--phase", "", f"there is no phase '{phase}'; {nearest(phase, names)}"))
    for name, rate in zip(("--from", "--to"), rates, strict=True):
        if not (math.isfinite(rate) and rate > 0):
            problems.append(Problem(name, "", f"a learning rate is a number above 0; got {rate:g}"))
    if not problems and rates[0] >= rates[1]:
        low, high = sorted(rates)
        meant = f"did you mean --from {low:g} --to {high:g}?" if low < high else f"try --to {10 * high:g}"
        message = f"the test goes from a lower rate to a higher one; got {rates[0]:g} and {rates[1]:g}; {meant}"
        problems.append(Problem("--from", "", message))
    if plot is not None and plot.suffix not in FORMATS:
        message = f"a plot's file ends in .svg or .html; got '{plot}'"
        message += f"; did you mean '{plot.with_suffix('.svg')}'?" if plot.name else ""
        problems.append(Problem("--plot", "", message))
    elif plot is not None and not plot.parent.is_dir():
        problems.append(Problem("--plot", "", f"a plot is written into a folder that is there; got '{plot.parent}'"))
    if problems:
        raise RecipeError(problems)
    return names.index(phase) if phase is not None else 0


def find(
    recipe: Recipe,
    phase: int,
    rates: tuple[float, float],
    steps: int,
    environment: Mapping[str, str],
    *,
    arm: str | None = None,
    debug: bool,
) -> dict[str, Any]:
    """The result of the range test, with the `override` that puts its rate into the recipe.

    arm: of which the recipe is, and into which the rate is put.

    Raises RecipeError and RunError as it does, and KeyboardInterrupt, at SIGTERM too, when the process has ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told: dict[str, Any] = {}
    with (
        tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+") as log,
        _Narrator() as narrator,
    ):
        file.write(recipe.to_toml())
        file.flush()
        command = python_module("ftapp.training.lr_range_test", file.name, str(phase), *map(repr, rates), str(steps))
        variables = child_environment(environment)
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    told |= json.loads(line)
                    if "progress" in told:
                        narrator.tell(*told.pop("progress"))
            except KeyboardInterrupt:
                process.kill()  # it has nothing to save
                raise
        log.seek(0)
        output = log.read()
    if process.returncode == 2 and "error" in told:
        raise RecipeError([Problem("", "", told["error"])])
    if "result" not in told:
        raise RunError(told.get("error") or f"the process of the test ended without an error message:\n{output}")
    if debug:
        print(output, file=sys.stderr)
    result: dict[str, Any] = told["result"]
    rate = result["rate"]
    return result | {"arm": arm, "override": rate and override(recipe.phase[phase], rate, arm)}


class _Narrator:
    """Tells how far the test is: by a bar on a terminal, by a line now and then elsewhere."""

    def __init__(self) -> None:
        console = PlainConsole(sys.stderr)
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._is_live, self._last = console.is_terminal, (0.0, "")
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Self:
        if self._is_live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._bar.stop()

    def tell(self, activity: str, done: int, total: int | None) -> None:
        """activity: in words; done, total: in any unit."""
        if self._is_live:
            self._bar.update(self._task, description=activity, completed=done, total=total or None)
            return
        now, (then, before) = time.monotonic(), self._last
        if activity != before or now - then >= _LINE_SECONDS:
            self._last = now, activity
            print(f"{activity}{f' {done}/{total}' if total else ''}", file=sys.stderr)


def rendered(result: Mapping[str, Any], width: int | None) -> Group:
    """The result in words, and its curve in so many columns of text; None for no curve."""
    parts: list[Any] = [Text("\n".join(headline(result)))]
    if width is not None and len(result["curve"]["rates"]) > 1:
        parts += [Text(), *_plot(result, min(width, _WIDEST))]
    if result["suggestions"]:
        table = Table(box=box.SIMPLE_HEAD)
        for name in ("", "rule", "learning rate", "which is"):
            table.add_column(name)
        for row in result["suggestions"]:
            table.add_row(row["rule"][0].upper(), row["rule"], f"{row['rate']:.2g}", Text(row["source"]))
        table.add_row(Text("R", _OWN), "recipe", f"{result['own_rate']:g}", "the phase's base rate as it is")
        parts.append(table)
    else:
        parts.append(Text())
    parts += [Text(sentence) for sentence in result["sentences"]]
    if result["override"]:
        # In one piece, since it is copied into the next command.
        parts.append(Text(f"  --set {shlex.quote(result['override'])}", _TAKE, no_wrap=True, overflow="ignore"))
    parts.append(Text(unchanged(result), "dim"))
    return Group(*parts)


def _plot(result: Mapping[str, Any], width: int) -> list[Text]:
    """The curve over the logarithm of the rate, with a letter below for each suggestion and for the recipe's rate."""
    curve = result["curve"]
    x, centers = [[math.log10(rate) for rate in curve[name]] for name in ("rates", "centers")]
    y_axis = fit(*window(curve["losses"], curve["smoothed"]), _ROWS)
    half_a_dot = (y_axis.high - y_axis.low) / (8 * _ROWS)
    y_range = y_axis.low + half_a_dot, y_axis.high - half_a_dot  # the centres of the lowest and of the highest dot
    canvas = Canvas(max(20, width - _LABEL - 2), _ROWS, (x[0], x[-1]), y_range)
    canvas.points(x, curve["losses"], _RAW)
    canvas.line(centers, curve["smoothed"], _SMOOTH)
    marks = [(row["rule"][0].upper(), row["rate"], _SMOOTH) for row in result["suggestions"]]
    marks.append(("R", result["own_rate"], _OWN))
    placed = [(sign, canvas.column(math.log10(rate)), style) for sign, rate, style in marks]
    placed = [mark for mark in placed if 0 <= mark[1] < canvas.columns]
    rules = {column: style for sign, column, style in placed if sign == "R"}
    if result["rate"] is not None:
        rules[canvas.column(math.log10(result["rate"]))] = _TAKE
    named = zip(y_axis.ticks, y_axis.labels(), strict=True)
    labels = {_ROWS - 1 - y_axis.row(tick): label for tick, label in named}
    rows = [
        Text.assemble((labels.get(row, "").rjust(_LABEL), "dim"), (" ┤" if row in labels else " │"), line)
        for row, line in enumerate(canvas.text(rules))
    ]
    decades = range(math.ceil(x[0] - 1e-9), math.floor(x[-1] + 1e-9) + 1)
    ticks = {canvas.column(float(decade)): f"{10.0**decade:g}".replace("e-0", "e-") for decade in decades}
    axis = "".join("┴" if column in ticks else "─" for column in range(canvas.columns))
    rows.append(Text(f"{'':{_LABEL}} └{axis}"))
    names = [" "] * (canvas.columns + _LABEL + 2)
    for column, name in ticks.items():
        first = min(len(names) - len(name), max(0, column + _LABEL + 2 - len(name) // 2))
        if all(sign == " " for sign in names[max(0, first - 1) : first + len(name) + 1]):
            names[first : first + len(name)] = name
    return [*_letters(placed, canvas.columns), *rows, Text("".join(names), "dim")]


def _letters(marks: list[tuple[str, int, str]], columns: int) -> list[Text]:
    """Letters at their columns, in as many rows as it takes for each to have a place of its own."""
    rows: list[dict[int, tuple[str, str]]] = []
    for sign, column, style in marks:
        row = next((row for row in rows if column not in row), None)
        if row is None:
            rows.append(row := {})
        row[column] = sign, style
    return [
        Text.assemble(" " * (_LABEL + 2), *(row.get(column, (" ", "")) for column in range(columns)))
        for row in reversed(rows)
    ]
