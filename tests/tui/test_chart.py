"""Charts: what each key does to the picture, and that the picture follows new points unless somebody zoomed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual_hires_canvas import Canvas
from textual_plot.plot_widget import LinePlot

from ftapp.tui.curves import Curve
from ftapp.tui.terminal.themes import THEMES
from ftapp.tui.widgets.chart import Chart
from ftapp.tui.widgets.plot import Ticks
from tests.tui.harness import drawn


class Charted(App[None]):
    """One chart."""

    def __init__(self) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "ftapp-dark"

    def compose(self) -> ComposeResult:
        yield Chart("Loss", id="loss")


def noisy(points: int) -> Curve:
    x = np.arange(1.0, points + 1)
    return Curve.of("train", x, 2 + np.cos(x), "primary", noisy=True)


def lines(chart: Chart) -> list[LinePlot]:
    return [each for each in chart._datasets if isinstance(each, LinePlot)]


async def test_smoothing_draws_the_mean_over_the_points() -> None:
    async with Charted().run_test() as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([noisy(400)])
        assert len(lines(chart)) == 2
        assert np.ptp(lines(chart)[1].y[20:]) < 0.5 < np.ptp(lines(chart)[0].y)
        assert chart.border_subtitle == "mean of 10 steps"
        means = lines(chart)[1].y
        await pilot.press("tab", "l")
        assert np.allclose(lines(chart)[1].y, np.log10(means)), "the mean does not depend on the axis"
        await pilot.press("l", "s")
        assert len(lines(chart)) == 1
        assert not chart.border_subtitle


async def test_the_log_scale_draws_powers_of_ten_and_leaves_out_what_has_no_logarithm() -> None:
    async with Charted().run_test() as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([Curve.of("", [1, 2, 3, 4], [1000, 10, 0, 0.1], "primary")])
        await pilot.press("tab", "l")
        assert lines(chart)[0].y.tolist() == pytest.approx([3, 1, -1])
        await pilot.pause()
        labels = chart._y_formatter.get_ticks_and_labels(-1, 3)[1]
        assert {"0.1", "1", "10"} <= set(labels)


async def test_the_cursor_reads_out_the_nearest_points() -> None:
    async with Charted().run_test() as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([Curve.of("train", [1, 2, 3], [9, 8, 7], "primary"), Curve.of("held out", [2], [5], "accent")])
        await pilot.press("tab", "shift+left")
        assert chart.border_subtitle == "step 3  train 7  held out 5"
        await pilot.press("shift+left")
        assert chart.border_subtitle.startswith("step 2  train 8")
        await pilot.press("shift+left", "shift+left", "shift+right")
        assert chart.border_subtitle.startswith("step 2  train 8")
        await pilot.press("escape")
        assert chart.at is None


async def test_a_zoomed_chart_stays_where_it_is_when_points_come() -> None:
    async with Charted().run_test() as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([noisy(100)])
        await pilot.pause()
        chart.show([noisy(200)])
        await pilot.pause()
        assert chart._x_max == 200
        await pilot.press("tab", "+", "left")
        await pilot.pause()
        seen = chart._x_min, chart._x_max
        assert seen[1] - seen[0] < 199
        chart.show([noisy(300)])
        await pilot.pause()
        assert (chart._x_min, chart._x_max) == seen
        await pilot.press("r")
        await pilot.pause()
        assert (chart._x_min, chart._x_max) == (1, 300)


async def test_one_point_and_constant_curves_have_room_around_them() -> None:
    async with Charted().run_test() as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([Curve.of("", [5], [0.01], "primary")])
        await pilot.pause()
        assert (chart._x_min, chart._x_max) == pytest.approx((4.5, 5.5))
        assert chart._y_min <= 0.009
        assert chart._y_max >= 0.011
        chart.show([Curve.of("", [5, 6], [0.01, 0.02], "primary")])
        await pilot.pause()
        assert (chart._x_min, chart._x_max) == (5, 6)
        assert 0 <= chart._y_min <= 0.01 < 0.02 <= chart._y_max < 0.03


def tick_rows(chart: Chart) -> list[int]:
    """The rows of the screen in which labels of the y axis stand, from the top."""
    strips = [chart.query_one("#margin-left", Canvas).render_line(y) for y in range(chart.size.height)]
    return [y for y, strip in enumerate(strips) if strip.text.strip()]


@pytest.mark.parametrize("height", [7, 8, 9, 12, 17, 24, 40])
@pytest.mark.parametrize("values", [(0.604, 0.703), (0.38, 1.0), (1.0329, 1.0344), (0.01, 0.01), (2.0, 450.0)])
async def test_ticks_stand_in_rows_at_equal_distances(height: int, values: tuple[float, float]) -> None:
    async with Charted().run_test(size=(80, height)) as pilot:
        chart = pilot.app.query_one(Chart)
        chart.styles.height = height
        chart.show([Curve.of("", [1, 2, 3], [values[0], values[1], values[0]], "primary")])
        for keys in ([], ["tab", "l"], ["l", "+"], ["up"], ["+", "+", "down"], ["-", "-"], ["r"]):
            await pilot.press(*keys)
            await pilot.pause()
            rows = tick_rows(chart)
            assert len(rows) >= 2
            assert len({b - a for a, b in itertools.pairwise(rows)}) == 1


@pytest.mark.parametrize("height", [8, 11, 17, 30])
async def test_a_line_at_a_tick_is_in_the_row_of_its_label(height: int) -> None:
    async with Charted().run_test(size=(80, height)) as pilot:
        chart = pilot.app.query_one(Chart)
        chart.styles.height = height
        whole = Curve.of("", [1, 2], [0.0, 1.0], "primary")
        chart.show([whole])
        await pilot.pause()
        axis = chart._y_formatter.axis
        assert axis is not None
        rows = tick_rows(chart)
        for tick, row in zip(reversed(axis.ticks), rows, strict=True):
            if 0 <= tick <= 1:
                chart.show([whole, Curve.of("", [3, 5], [tick, tick], "error")])
                await pilot.pause()
                strip = chart.query_one("#plot", Canvas).render_line(row)
                assert set(strip.text[45:70]) in ({"⠒"}, {"⠤"})  # next to the middle of the row


async def test_each_key_that_zooms_or_moves_changes_what_is_seen() -> None:
    async with Charted().run_test(size=(80, 12)) as pilot:
        chart = pilot.app.query_one(Chart)
        chart.show([Curve.of("", [1, 2, 3], [1.0, 9.0, 4.0], "primary")])
        await pilot.press("tab")
        seen = []
        for key in ["+"] * 6 + ["up"] * 6:
            await pilot.press(key)
            await pilot.pause()
            seen.append(chart._seen)
        assert len(set(seen)) == 12


@pytest.mark.parametrize(("span", "steps"), [((5.4, 6.6), [6]), ((0.9, 4.1), [1, 2, 3, 4]), ((1.2, 1.8), [])])
def test_ticks_of_steps_are_whole(span: tuple[float, float], steps: list[float]) -> None:
    assert Ticks(whole=True).get_ticks(*span) == steps


async def test_a_single_step_has_one_tick() -> None:
    async with Charted().run_test(size=(80, 20)) as pilot:
        pilot.app.query_one(Chart).show([Curve.of("", [6], [0.5], "primary")])
        await pilot.pause()
        assert ["6"] in [row.strip("│").split() for row in drawn(pilot.app.screen)]


@pytest.mark.parametrize("span", [(0, 1), (0.0113, 0.0114), (1, 1_000_000), (-3.5, 2.25), (5e-7, 9e-7)])
@pytest.mark.parametrize("room", [2, 5, 12])
def test_ticks_are_round_inside_and_fit(span: tuple[float, float], room: int) -> None:
    ticks = Ticks()
    ticks.room = room
    found = ticks.get_ticks(*span)
    assert all(span[0] - 1e-9 <= tick <= span[1] * (1 + 1e-9) for tick in found)
    assert len(found) <= room + 1
    steps = np.diff(found)
    if len(steps) > 1:
        assert np.allclose(steps, steps[0])
    if len(steps):
        assert round(steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9), 6) in (1, 2, 5)
