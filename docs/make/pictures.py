"""Draw the pictures of the interface's screens, with the runs in docs/recorded/.

    python docs/make/pictures.py [RUN_FOLDER]

Configure shows a recipe's model and data, which are downloaded if the cache has them not. Try it needs a model, so its
picture is drawn where the folder of a run is given.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from ftapp.experiments import experiment_folder
from ftapp.recipe import bundled
from ftapp.runs.run_folder import Run, list_runs
from ftapp.tui.app import FtApp
from ftapp.tui.editor.draft import Draft
from outputs import RECORDED

PICTURES = Path(__file__).parents[1] / "pictures"
SCREEN = (112, 36)  # columns and rows
_SECONDS_OF_HELPERS = 40  # in which the model's structure and the first examples have come


async def draw_screens(model: Run | None) -> None:
    """Write the pictures of all screens.

    Args:
        model: A run that has a model, for Try it.
    """
    with tempfile.TemporaryDirectory(prefix="ftapp-") as scratch:
        folder = Path(scratch) / "runs"
        shutil.copytree(RECORDED, folder)
        # No settings and no recipes but those that come with ftapp.
        os.environ |= {"FTAPP_CONFIG": scratch, "TZ": "UTC"}
        os.chdir(scratch)
        single = {
            run.environment()["recipe"]: run for run in list_runs(folder) if "experiment" not in run.environment()
        }
        found = next(each for each in experiment_folder.list_experiments(folder) if "gpt2" in each.folder.name)
        arms = [member.run for member in found.members()]
        draft = Draft(bundled()["gpt2-targeted"], "quick")
        await _draw("recipes", folder, lambda app: None, then=_select_second)
        await _draw("run", folder, lambda app: app.open_run(single["gpt2-targeted"]))
        await _draw("runs", folder, lambda app: app.action_show("runs"))
        await _draw("experiment", folder, lambda app: app.open_experiment(found), seconds=6)
        await _draw("compare", folder, lambda app: app.compare(arms[:2]), seconds=6)
        await _draw("configure", folder, lambda app: app.configure(draft), seconds=_SECONDS_OF_HELPERS)
        if model is not None:
            await _draw("try-it", folder, lambda app: app.try_model(model), seconds=_SECONDS_OF_HELPERS, then=_write)


async def _write(pilot: Pilot[None]) -> None:
    """Let a language model go on from a prompt."""
    await pilot.press(*"Alice looked at the", "enter")
    await _settle(pilot, _SECONDS_OF_HELPERS)


async def _select_second(pilot: Pilot[None]) -> None:
    await pilot.press("down")


async def _draw(
    name: str,
    folder: Path,
    open_screen: Callable[[FtApp], object],
    *,
    seconds: float = 2,
    then: Callable[[Pilot[None]], Awaitable[None]] | None = None,
) -> None:
    """Write the picture of one screen.

    Args:
        name: Of the picture.
        folder: The runs that the interface shows.
        open_screen: What opens the screen.
        seconds: After which it has come to rest.
        then: What is done on the screen before it is drawn.
    """
    app = FtApp(folder)
    async with app.run_test(size=SCREEN) as pilot:
        await _settle(pilot, 1)
        open_screen(app)
        await _settle(pilot, seconds)
        if then:
            await then(pilot)
            await _settle(pilot, 1)
        svg = _without_font(app.export_screenshot(title="ftapp"))
        (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


async def _settle(pilot: Pilot[None], seconds: float) -> None:
    for _ in range(round(seconds / 0.25)):
        await pilot.pause(0.25)


def _without_font(svg: str) -> str:
    """An SVG of Rich's template without the font that it fetches: the reader's own monospaced font serves as well."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="the folder of a run that has a model")
    folder = parser.parse_args().run
    asyncio.run(draw_screens(Run(folder.absolute()) if folder else None))


if __name__ == "__main__":
    main()
