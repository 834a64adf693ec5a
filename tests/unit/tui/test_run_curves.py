"""The curves of one run."""

from __future__ import annotations

from pathlib import Path

from ftapp.runs.events import GpuUsed, ProcessorUsed
from ftapp.runs.history import History
from ftapp.runs.phase_events import Stepped
from ftapp.tui.run_curves import make_curves
from tests.support.recorded_runs import record_run


def test_loads_are_percentages_by_step_of_what_was_measured(tmp_path: Path) -> None:
    history = record_run(tmp_path).history()
    assert make_curves(history, None)["load"] == []
    history.apply(ProcessorUsed(time=9, step=6, own=0.75, others=0.125))
    assert [(each.label, list(each.x), list(each.y)) for each in make_curves(history, None)["load"]] == [
        ("this run", [6], [75]),
        ("others", [6], [12.5]),
    ]
    history.apply(GpuUsed(time=9, step=6, busy=0.5, used=1, memory=2))
    assert make_curves(history, None)["load"][-1].label == "GPU"


def test_a_step_of_no_measurable_time_has_no_pace() -> None:
    history = History.of(
        Stepped(time=step, step=step, epoch=1, loss=1, rate=1, seconds=seconds, memory=1)
        for step, seconds in enumerate([0.5, 0.0, 1e-300], 1)
    )
    assert [list(each.y) for each in make_curves(history, None)["speed"]] == [[2.0]]
