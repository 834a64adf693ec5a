"""The Configure screen: where a run goes."""

from __future__ import annotations

from textual.widgets import Button, Input

from ftapp.recipe.user_settings import find_settings_file
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.field_line import FieldLine
from tests.tui.configuring import fill, line, opened, wrong
from tests.tui.harness import Opened

KEY = "launch.on"


async def test_a_run_goes_to_a_target_of_the_settings_or_one_that_is_typed(draft: Draft) -> None:
    file = find_settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[launch]\ntargets = { big = "slurm:gpu?time=8h", small = "slurm:cpu" }\n')
    app = Opened()
    async with opened(draft, app=app) as (screen, pilot):
        await pilot.press("f3")
        line(screen, KEY).query_one(Input).focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert screen.form.draft.on == "big"
        assert not screen.unsaved
        await fill(screen, pilot, KEY, "slrum:gpu")
        assert "did you mean 'slurm:gpu'?" in str(wrong(line(screen, KEY)))
        assert screen.query_one("#run", Button).disabled
        await fill(screen, pilot, KEY, "slurm:gpu")
        await pilot.press(*"?gpus=2")
        assert not wrong(line(screen, KEY))
        await pilot.press("ctrl+r")
        assert app.started[0].command() == f"ftapp run {draft.path} --on 'slurm:gpu?gpus=2'"


async def test_whoever_has_this_machine_alone_is_not_asked(draft: Draft) -> None:
    async with opened(draft) as (screen, _):
        assert KEY not in [each.field.key for each in screen.query(FieldLine)]
