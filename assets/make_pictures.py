"""Draw the README's picture of a run from the run's own events, with the code that narrates runs.

    python assets/make_pictures.py RUN_FOLDER

Writes assets/run.svg. The picture holds what a terminal shows after `ftapp run`: the command, the narration and the
result. The folder of the runs is drawn as the default one, wherever the run lies.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from ftapp import headless
from ftapp.events import read
from ftapp.history import History
from ftapp.runs import Run

TARGET = Path(__file__).parent / "run.svg"
RUNS_SHOWN = Path("~/.local/share/ftapp/runs")

# Columns: the longest line names the run's folder and the model in it, with some 85 characters.
WIDTH = 104

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
    narrator, history = headless.Narrator(shown, console), History()
    for event in events:
        history.apply(event)
        narrator.tell(event, history)
    outcome = {"recipe": facts["recipe"], "run": str(shown.folder), "status": run.status(history)} | history.summary()
    outcome["model"] = str(shown.model_folder) if history.saved else None
    headless.print_result(outcome, console)
    svg = console.export_svg(title="ftapp", theme=THEME, unique_id="run")
    # Rich's template fetches its font from a content network; the reader's own monospaced font serves as well.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run that has ended")
    TARGET.write_text(draw(Run(parser.parse_args().run)), encoding="utf-8")


if __name__ == "__main__":
    main()
