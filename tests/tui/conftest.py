"""An interface with settings and runs of its own, in a folder of its own, and runs made of written events."""

from __future__ import annotations

import gc
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.rpc import structure_cache
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Event, Status
from ftapp.runs.events import RunEnded, RunStarted
from ftapp.runs.phase_events import Evaluated, PhaseStarted, Stepped
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.editor.draft import Draft
from tests.support import textual_patches
from tests.support.processes import none_left
from tests.tui.configuring import HUB
from tests.tui.structures import bert

RECIPE = """
title = "A small run"
summary = "Two words."
task = "text-classification"
seed = {seed}
[model]
preset = "bert_base_en_uncased"
sequence_length = 16
[data]
source = "tfds:imdb_reviews"
[[phase]]
name = "finetune"
layers = ["freeze attention"]
steps = {steps}
learning_rate = {rate}
"""

Write = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quickly_started: None) -> None:
    """Settings, runs and current folder of a test, whose processes start quickly; `tests/train` tests real starts."""
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("FTAPP_RUNS", str(tmp_path / "runs"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("ftapp.tui.editor.targets.has_slurm", lambda: False)  # the same forms on all machines


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test starts has ended when it has."""
    yield
    none_left(tmp_path)


@pytest.fixture(autouse=True)
def seldom_collected() -> Iterator[None]:
    """The collector looks through what a test makes once it is much: most of it goes with the test's app."""
    thresholds = gc.get_threshold()
    gc.set_threshold(500_000, *thresholds[1:])
    yield
    gc.set_threshold(*thresholds)


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pilot needs of Textual and asyncio on a busy machine."""
    textual_patches.wait_for_rest(monkeypatch)
    textual_patches.pause_timers_of_apps_that_are_left(monkeypatch)
    textual_patches.cancel_work_before_widgets(monkeypatch)
    textual_patches.keep_notes(monkeypatch)
    textual_patches.hash_rules_quickly(monkeypatch)
    textual_patches.share_parsed_rules(monkeypatch)
    textual_patches.match_selectors_quickly(monkeypatch)
    textual_patches.keep_equal_styles(monkeypatch)


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A recipe whose model and data a hub has, and whose structure is known from before: no process is needed."""
    file = tmp_path / "hub.toml"
    file.write_text(HUB, encoding="utf-8")
    structure_cache.keep(recipe.load(file), bert())
    return Draft(file)


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """Writes the folder of a run as `ftapp.runs.run_folder` and a run's process do."""
    numbers, begun = itertools.count(1), time.time()

    def write(
        name: str = "small",
        *,
        status: Status | None = "done",
        profile: str | None = None,
        steps: int = 10,
        total: int | None = None,
        loss: float = 0.5,
        accuracy: float = 0.8,
        metrics: dict[str, float] | None = None,
        rate: float = 0.001,
        seed: int = 0,
        age: float = 3600.0,
        error: str | None = None,
    ) -> RunFolder:
        """status: None for a run that has not told its end; age: seconds before the test that it started; loss: the
        final one; metrics: in place of the accuracy.
        """
        start = begun - age
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(start))
        run = RunFolder(tmp_path / "runs" / f"{stamp}-{name}-{next(numbers):04x}")
        run.folder.mkdir(parents=True)
        run.recipe_file.write_text(RECIPE.format(steps=total or steps, rate=rate, seed=seed))
        environment = {"recipe": name, "profile": profile, "created": start}
        (run.folder / "environment.json").write_text(json.dumps(environment))
        log = EventLog(run.events_file)
        events: list[Event] = [
            RunStarted(
                time=start,
                recipe=name,
                profile=profile,
                seed=seed,
                backend="tensorflow",
                device="a processor",
                precision="float32",
                reason="a test",
            ),
            PhaseStarted(
                time=start,
                phase="finetune",
                first_step=1,
                steps=total or steps,
                epochs=1.0,
                trainable=250,
                parameters=1000,
                trainable_layers=["head"],
            ),
            *(
                Stepped(
                    time=start + number,
                    step=number,
                    epoch=1,
                    loss=loss + 1 / number,
                    metrics=metrics or {"accuracy": accuracy},
                    rate=rate,
                    seconds=0.1,
                    memory=2**30,
                )
                for number in range(1, steps + 1)
            ),
        ]
        if status == "done":
            events.append(
                Evaluated(
                    time=start + steps,
                    step=steps,
                    split="test",
                    examples=50,
                    loss=loss,
                    metrics=metrics or {"accuracy": accuracy},
                    seconds=0.1,
                    final=True,
                )
            )
        if status is not None:
            events.append(RunEnded(time=start + steps, status=status, steps=steps, seconds=float(steps), error=error))
        for event in events:
            log.write(event)
        return run

    return write
