"""The sizes of the panes of a run: by keys, by the mouse, within the screen, and kept."""

from __future__ import annotations

from textual.pilot import Pilot

from ftapp.tui.app import FtApp
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.settings import Settings
from ftapp.tui.widgets.run_panes import RunPanes
from tests.tui.conftest import Write
from tests.tui.harness import BareApp, until


def sizes(app: FtApp) -> tuple[int, int]:
    """The width of the facts, and the height of the details."""
    return app.screen.query_one("#facts").region.width, app.screen.query_one("#details").region.height


async def opened(pilot: Pilot[None], write_run: Write) -> FtApp:
    app = pilot.app
    assert isinstance(app, FtApp)
    app.open_run(write_run())
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and "g" in app.screen.active_bindings)
    await until(pilot, lambda: app.screen.query(RunPanes))
    former = (0, 0)
    while 0 in former or former != sizes(app):  # until the headline and what it warns of have taken their room
        former = sizes(app)
        await pilot.pause(0.5)
    assert sizes(app)[0] == 44
    return app


async def test_keys_move_the_edges_which_stay_and_go_back(write_run: Write) -> None:
    async with BareApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, write_run)
        _, height = sizes(app)
        await pilot.press("left_square_bracket", "left_curly_bracket", "left_curly_bracket")
        await until(pilot, lambda: sizes(app) == (48, height + 2))
        assert (Settings.load().facts_width, Settings.load().details_height) == (48, height + 2)
        await pilot.press(*["left_square_bracket"] * 14)  # 12 are four columns each
        await until(pilot, lambda: app.screen.query_one("#charts").region.width == 24)  # it does not go away
        await pilot.press("equals_sign")
        await until(pilot, lambda: sizes(app) == (44, height))
        assert Settings.load().facts_width is None


async def test_an_edge_is_dragged(write_run: Write) -> None:
    async with BareApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot, write_run)
        facts = app.screen.query_one("#facts").region
        await pilot.mouse_down(offset=(facts.x, facts.y + 3))
        await pilot.hover(offset=(facts.x + 10, facts.y + 3))
        await pilot.mouse_up(offset=(facts.x + 10, facts.y + 3))
        await until(pilot, lambda: sizes(app)[0] == 34)
        await pilot.hover(offset=(20, 12))
        assert sizes(app)[0] == 34
        details = app.screen.query_one("#details").region
        await pilot.mouse_down(offset=(10, details.y))
        await pilot.hover(offset=(10, details.y - 4))
        await pilot.mouse_up(offset=(10, details.y - 4))
        await until(pilot, lambda: sizes(app) == (34, details.height + 4))


async def test_a_narrow_screen_has_its_own_order(write_run: Write) -> None:
    settings = Settings.load()
    settings.facts_width = 60
    settings.save()
    async with BareApp().run_test(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, FtApp)
        app.open_run(write_run())
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.query(RunPanes))
        await until(pilot, lambda: sizes(app)[0] >= 76)
        await pilot.press("left_square_bracket")
        assert Settings.load().facts_width == 60
