"""Draw the README's pictures: of the interface from the runs that the tests keep, of `ftapp run` from a run's events.

    python assets/make_pictures.py [RUN_FOLDER]

Without a folder it writes assets/recipes.svg and assets/live.svg, the interface's screens. With the folder of a run
that has ended it writes assets/run.svg, what a terminal shows after `ftapp run`: the command, the narration and the
result. The folder of the runs is drawn as the default one, wherever the run lies.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from textual.pilot import Pilot

from ftapp import recipe as recipes
from ftapp.cli import run as run_command
from ftapp.runs import outcome as ends
from ftapp.runs.events import read
from ftapp.runs.history import History
from ftapp.runs.narrator import Narrator
from ftapp.runs.run_folder import Run, list_runs
from ftapp.tui.app import FtApp

ASSETS = Path(__file__).parent
RECORDED = ASSETS.parent / "tests" / "fixtures" / "recorded"
RUNS_SHOWN = Path("~/.local/share/ftapp/runs")
SHOWN_RECIPE = "gpt2-targeted"

# Columns: the longest line is that of the classes in the result.
WIDTH = 114
SCREEN = (112, 36)

# Foreground on background has a contrast of 12:1, readable on the light and the dark page of a forge.
_PAPER, _INK = (30, 32, 38), (222, 224, 228)
_COLORS = [(62, 66, 76), (224, 108, 117), (126, 200, 140), (229, 192, 123), (97, 175, 239), (198, 140, 221)]
THEME = TerminalTheme(_PAPER, _INK, [*_COLORS, (86, 182, 194), _INK])


def draw(run: Run) -> str:
    """The picture of a run that has ended, as SVG."""
    events = read(run.events_file)
    facts = run.environment()
    shown = Run(RUNS_SHOWN / run.folder.name)
    # A terminal, so that lines have the styles of one; its progress bar is gone when the run has ended.
    console = Console(record=True, file=io.StringIO(), force_terminal=True, width=WIDTH, highlight=False)
    profile = f" --profile {facts['profile']}" if facts["profile"] else ""
    console.print(f"[bold green]$[/] [bold]ftapp run {facts['recipe']}{profile}[/]")
    narrator, history = Narrator(shown, console), History()
    for event in events:
        history.apply(event)
        narrator.tell(event, history)
    outcome = {"recipe": facts["recipe"], "run": str(shown.folder), "status": run.status(history)}
    outcome |= history.summary() | ends.table(history, recipes.load(run.recipe_file))
    outcome["model"] = str(shown.model_folder) if history.saved else None
    run_command.print_result(outcome, console)
    return plain(console.export_svg(title="ftapp", theme=THEME, unique_id="run"))


async def draw_screens() -> None:
    """Write the pictures of the interface."""
    with tempfile.TemporaryDirectory() as scratch:
        # Settings and cache of its own, and no recipes or runs but those that come with ftapp and its tests.
        os.environ |= {"FTAPP_CONFIG": scratch, "FTAPP_CACHE": f"{scratch}/cache", "TZ": "UTC"}
        os.chdir(scratch)
        folder = Path(scratch) / "runs"
        shutil.copytree(RECORDED, folder)
        app = FtApp(folder)
        async with app.run_test(size=SCREEN) as pilot:
            await pilot.press("down")
            await picture(pilot, "recipes")
            app.open_run(next(run for run in list_runs(folder) if run.environment()["recipe"] == SHOWN_RECIPE))
            await picture(pilot, "live")


async def picture(pilot: Pilot[None], name: str) -> None:
    """Write the screen as it is when it has come to rest."""
    await pilot.pause(2)
    (ASSETS / f"{name}.svg").write_text(plain(pilot.app.export_screenshot(title="ftapp")), encoding="utf-8")


def plain(svg: str) -> str:
    """An SVG of Rich's template without the font that it fetches: the reader's own monospaced font serves as well."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="the folder of a run that has ended")
    folder = parser.parse_args().run
    if folder is None:
        asyncio.run(draw_screens())
    else:
        (ASSETS / "run.svg").write_text(draw(Run(folder)), encoding="utf-8")


if __name__ == "__main__":
    main()
