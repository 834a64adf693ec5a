"""When the steps of a run are told: at once, or one step late where the device computes ahead of Python."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from ftapp.models import backend
from ftapp.runs.commands import Checkpoint, Rate
from ftapp.runs.event_reader import read
from ftapp.runs.events import AnyEvent, ProcessorUsed, Progressed
from ftapp.runs.phase_events import Stepped
from ftapp.training.cpu_share import ProcessorLoad
from tests.conftest import Do
from tests.support.recipes import DIVERGES


def describe(events: list[AnyEvent]) -> list[dict[str, Any]]:
    """The events without what a clock or a chance has a say in."""
    measured = {"time", "seconds", "memory", "preparing", "evaluating", "training", "seconds_saved", "others", "id"}
    return [
        {"kind": type(event).__name__}
        | {key: value for key, value in msgspec.structs.asdict(event).items() if key not in measured}
        for event in events
        if not isinstance(event, Progressed | ProcessorUsed)
    ]


def test_what_is_read_late_is_told_in_the_same_order(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = '[[phase]]\nname = "block"\nlayers = ["freeze all", "train block2", "train head"]\nsteps = 11\n'
    sets = ("model.dropout=0.3", "model.hidden=[6]", "evaluate.every=5", "phase.head.batch_size=6")
    runs = []
    for is_late in (False, True):
        monkeypatch.setattr(backend, "computes_ahead", lambda is_late=is_late: is_late)
        runs.append(do(image_recipe + second, *sets, commands=[Checkpoint(), Rate(base=0.005)]))
    at_once, late = (read(run.events_file) for _, _, run in runs)
    for kind in ("PhaseTimed", "StateSaved"):  # written when a phase has been timed, and when a state is on the disk
        found = [[event for event in describe(events) if event["kind"] == kind] for events in (at_once, late)]
        assert found[0] == found[1]
        assert len(found[0]) == 2
    others = [
        [event for event in describe(events) if event["kind"] not in ("PhaseTimed", "StateSaved")]
        for events in (at_once, late)
    ]
    assert others[0] == others[1]
    _, history, _ = runs[1]
    assert list(history.steps.step) == list(range(1, 24))
    assert all(seconds > 0 for seconds in history.steps.seconds)
    for phase, ended in zip(history.phases, history.ended_phases, strict=True):
        own = [step.seconds for step in history.steps if phase.first_step <= step.step < phase.first_step + phase.steps]
        assert ended.training == pytest.approx(sum(own))
        assert ended.seconds > ended.training


def test_what_other_processes_compute_is_seen() -> None:
    others = ProcessorLoad()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    assert 0 < others.measure()[1] <= 1


def test_a_loss_that_is_read_late_and_not_finite_is_laid_at_its_step(
    do: Do, image_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "computes_ahead", lambda: True)
    sets = (*DIVERGES, "evaluate.every=100")
    code, history, run = do(image_recipe, *sets)
    assert code == 1
    assert history.ended is not None
    assert f"at step {len(history.steps) + 1};" in str(history.ended.error)
    assert [event.step for event in read(run.events_file) if isinstance(event, Stepped)] == list(history.steps.step)
    assert history.saved is not None
    assert history.saved.step is not None
    assert 1 <= history.saved.step <= len(history.steps)
