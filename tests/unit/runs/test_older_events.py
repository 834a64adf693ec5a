"""Fields that earlier versions called otherwise are read under their names of today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftapp.runs.event_reader import EventReader, read
from ftapp.runs.history import History
from ftapp.runs.phase_events import PhaseEnded
from tests.support.files import FIXTURES, ROOT

RECORDED = sorted({*FIXTURES.glob("older_runs/*/events.jsonl"), *ROOT.glob("docs/recorded/*/events.jsonl")})


@pytest.mark.parametrize("log", RECORDED, ids=lambda log: log.parent.name)
def test_recorded_runs_have_the_time_that_cached_features_saved(log: Path) -> None:
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    expected = [line.get("seconds_saved", line.get("spared", 0)) for line in lines if line["event"] == "phase-ended"]
    assert expected
    assert [event.seconds_saved for event in read(log) if isinstance(event, PhaseEnded)] == expected
    history = History.of_file(log)
    assert (history.damaged, [ended.seconds_saved for ended in history.ended_phases]) == (0, expected)


def test_an_older_field_is_read_among_steps_that_are_decoded_fast(tmp_path: Path) -> None:
    """The fast decoder is in use from the second piece on."""
    step = '{{"event":"step","time":1,"step":{},"epoch":1,"loss":0.5,"rate":1,"seconds":1,"memory":1}}\n'
    ended = (
        '{"event":"phase-ended","time":2,"phase":"head","steps":2,"seconds":9,"preparing":1,"training":1,'
        '"evaluating":0,"spared":2.5,"memory":1,"frozen":0,"digest":"","moved":1}\n'
    )
    path = tmp_path / "events.jsonl"
    path.write_text(step.format(1) + step.format(2) + ended, encoding="utf-8")
    pieces = EventReader(path).pieces(limit=len(step), compact=True)
    found = [event for piece in pieces for event in piece]
    assert [event.seconds_saved for event in found if isinstance(event, PhaseEnded)] == [2.5]
