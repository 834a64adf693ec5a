"""Draw the pictures of the interface's screens, with the runs in docs/recorded/.

    python docs/make/pictures.py [--only NAME ...] [--model RUN_FOLDER]

All of them take some minutes. Configure shows a recipe's model and data; what the cache has not is downloaded.
Try it needs a model, so its picture is drawn where the folder of a run is given.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from ftapp.common.locks import hold_lock
from ftapp.experiments import experiment_lookup
from ftapp.experiments.experiment_folder import Experiment
from ftapp.recipe import bundled
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.app import FtApp
from ftapp.tui.editor.draft import Draft
from outputs import RECORDED, find_single_run

PICTURES = Path(__file__).parents[1] / "pictures"
SCREEN = (112, 36)  # columns and rows
_OF_HELPERS = 40  # seconds, in which the model's structure and the first examples have come
_OF_TESTS = 90  # seconds, in which a learning rate test or a look at the data has ended

Action = Callable[[Pilot[None]], Awaitable[None]]


@dataclass(frozen=True)
class Picture:
    """How to come to what a picture shows.

    Attributes:
        open_screen: Opens the screen in the app; the app's folder holds the recorded runs.
        seconds: How long the screen takes to come to rest.
        action: What is done on the screen then.
    """

    open_screen: Callable[[FtApp], object]
    seconds: float = 2
    action: Action | None = None


def _press(key: str, seconds: float = 1) -> Action:
    async def action(pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await settle(pilot, seconds)

    return action


async def _choose_source(pilot: Pilot[None]) -> None:
    await pilot.press("f4")  # the pane of the data, whose first field is the source
    await settle(pilot, 1)
    await pilot.press("down")
    await settle(pilot, 1)


async def _continue_a_prompt(pilot: Pilot[None]) -> None:
    await pilot.press(*"Alice looked at the", "enter")
    await settle(pilot, _OF_HELPERS)


async def _freeze_layers(pilot: Pilot[None]) -> None:
    assert isinstance(pilot.app, FtApp)
    recorded = find_single_run(pilot.app.runs_dir, "gpt2-targeted")
    run = RunFolder(shutil.copytree(recorded.folder, recorded.folder.with_name(f"{recorded.folder.name[:-4]}0000")))
    events = run.events_file.read_bytes()
    run.events_file.write_bytes(events[: events.rindex(b"\n", 0, events.index(b'"step":80,')) + 1])
    with hold_lock(run.lock_file, fcntl.LOCK_EX):  # so the run seems to train
        pilot.app.open_run(run)
        await settle(pilot, 2)
        await pilot.press("f")
        await settle(pilot, 1)
        await pilot.press("plus", "m")
        await settle(pilot, 1)


def _find_experiment(app: FtApp) -> Experiment:
    found = experiment_lookup.list_experiments(app.runs_dir)
    return next(each for each in found if each.facts["recipe"] == "lesson-gpt2-targeted-freezing")


def _configure(app: FtApp, recipe_name: str) -> None:
    app.configure(Draft(bundled()[recipe_name], "quick"))


SCREENS = {
    "recipes": Picture(lambda app: None, action=_press("down")),
    "run": Picture(lambda app: app.open_run(find_single_run(app.runs_dir, "gpt2-targeted"))),
    "freeze-layers": Picture(lambda app: None, action=_freeze_layers),
    "runs": Picture(lambda app: app.action_show("runs")),
    "help": Picture(lambda app: app.action_show("runs"), action=_press("question_mark")),
    "experiment": Picture(lambda app: app.open_experiment(_find_experiment(app)), 6),
    "compare": Picture(lambda app: app.compare([each.run for each in _find_experiment(app).list_members()][:2]), 6),
    "configure": Picture(lambda app: _configure(app, "gpt2-targeted"), _OF_HELPERS),
    "choose": Picture(lambda app: _configure(app, "gpt2-targeted"), 6, _choose_source),
    "find-rate": Picture(lambda app: _configure(app, "gpt2-targeted"), _OF_HELPERS, _press("l", _OF_TESTS)),
    "advise": Picture(lambda app: _configure(app, "vgg16-two-phase"), _OF_HELPERS, _press("v", _OF_TESTS)),
}


async def draw(picture: Picture, runs_dir: Path) -> str:
    """Draw a screen of the interface.

    Args:
        picture: What it shows.
        runs_dir: The runs that the interface has.

    Returns:
        An SVG that fetches nothing.
    """
    app = FtApp(runs_dir)
    async with app.run_test(size=SCREEN) as pilot:
        await settle(pilot, 1)
        picture.open_screen(app)
        await settle(pilot, picture.seconds)
        if picture.action:
            await picture.action(pilot)
        return remove_font(app.export_screenshot(title="ftapp"))


async def settle(pilot: Pilot[None], seconds: float) -> None:
    """Let the interface work."""
    for _ in range(round(seconds / 0.25)):
        await pilot.pause(0.25)


def remove_font(svg: str) -> str:
    """Remove the font that Rich's template fetches; the reader's own monospaced font serves as well."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def read_texts(svg: str) -> list[str]:
    """Read the texts of a picture, from the top left to the bottom right."""
    return re.findall(r"<text [^>]*>(.*?)</text>", svg)


def main() -> None:
    """Read the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*SCREENS, "try-it"], metavar="NAME")
    parser.add_argument("--model", type=Path, metavar="RUN_FOLDER", help="a run that has a model")
    arguments = parser.parse_args()
    pictures = dict(SCREENS)
    if arguments.model:
        run = RunFolder(arguments.model.absolute())
        pictures["try-it"] = Picture(lambda app: app.try_model(run), _OF_HELPERS, _continue_a_prompt)
    with tempfile.TemporaryDirectory(prefix="ftapp-") as scratch:
        runs_dir = Path(shutil.copytree(RECORDED, Path(scratch) / "runs"))
        # No settings and no recipes but those that come with ftapp.
        os.environ |= {"FTAPP_CONFIG": scratch, "TZ": "UTC"}
        os.chdir(scratch)
        for name, picture in pictures.items():
            if not arguments.only or name in arguments.only:
                (PICTURES / f"{name}.svg").write_text(asyncio.run(draw(picture, runs_dir)), encoding="utf-8")


if __name__ == "__main__":
    main()
