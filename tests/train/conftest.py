"""What goes for all tests with real runs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.presets import Tiny
from tests.support.processes import Start, none_left
from tests.support.quick_starts import make_command

WORDS = {"good": ("good", "great"), "bad": ("bad", "awful")}


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test starts has ended when it has."""
    yield
    none_left(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `ftapp run` in the test's folder, as the leader of a session. What goes on at the end is killed, with
    all that it has started.

    command: the command in place of `run`; runs_dir: where the runs are kept, if not in the folder `runs`; is_real:
    whether the command and its run import what they need, as users start them; others by name: variables of the
    environment.
    """
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str,
        command: str = "run",
        runs_dir: Path | None = None,
        is_real: bool = False,
        **environment: str,
    ) -> subprocess.Popen[str]:
        words = ["ftapp.cli", command, *arguments, "--runs-dir", str(runs_dir or tmp_path / "runs")]
        process = subprocess.Popen(
            [sys.executable, "-m", *words] if is_real else make_command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            cwd=tmp_path,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.communicate()


@pytest.fixture
def tagged_recipe(tiny: Tiny, text_recipe: str, tmp_path: Path) -> str:
    """Texts of which each may be good, bad, both or neither."""
    chosen = random.Random(3)
    rows = []
    for number in range(120):
        labels = [name for name in WORDS if chosen.random() < 0.5]
        words = [chosen.choice(WORDS[name]) for name in labels for _ in range(3)] + ["film", str(number)]
        chosen.shuffle(words)
        rows.append(f"{' '.join(words)},{'|'.join(labels)}")
    table = tmp_path / "tags.csv"
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    made = text_recipe.replace("text-classification", "text-multi-label").replace(f"csv:{tiny.reviews}", f"csv:{table}")
    return made.replace("[data]", '[data]\nlabel_separator = "|"')


@pytest.fixture
def rated_recipe(tiny: Tiny, text_recipe: str, tmp_path: Path) -> str:
    """Texts with a number, which is larger the more good words there are."""
    chosen = random.Random(5)
    rows = []
    for number in range(120):
        count = chosen.randrange(7)
        words = ["good"] * count + ["bad"] * (6 - count) + [str(number)]
        chosen.shuffle(words)
        rows.append(f"{' '.join(words)},{1000 + 500 * count}")
    table = tmp_path / "stars.csv"
    table.write_text("text,label\n" + "\n".join(rows) + "\n")
    return text_recipe.replace("text-classification", "text-regression").replace(f"csv:{tiny.reviews}", f"csv:{table}")
