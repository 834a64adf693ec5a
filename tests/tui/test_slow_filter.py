"""A filter of the runs' list whose pattern takes too long."""

from __future__ import annotations

from textual.widgets import Input, Static

from tests.tui.conftest import Write
from tests.tui.harness import Opened, listed, until


async def test_a_pattern_that_takes_long_filters_nothing_and_is_explained(write_run: Write) -> None:
    write_run(f"{'a' * 60}!", age=10)
    write_run("bert-full", age=20)
    async with Opened().run_test(size=(120, 40)) as pilot:
        table = await listed(pilot, 2)
        await pilot.press("slash", *"recipe~bert")
        assert [summary.recipe for summary in table.rows] == ["bert-full"]
        pilot.app.screen.query_one("#search", Input).value = "recipe~(a|a)+$"
        note = pilot.app.screen.query_one("#note", Static)
        await until(pilot, lambda: "takes too long" in str(note.visual))
        assert len(table.rows) == 2
