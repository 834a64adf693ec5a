"""The curves of one run."""

from __future__ import annotations

from pathlib import Path

from ftapp.runs.events import GpuUsed, ProcessorUsed
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
