"""How long a command waits for the trackers of a run that has ended."""

from __future__ import annotations

import signal

from ftapp.cli.follow_run import make_patience
from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import LocalLauncher


def test_an_interruption_ends_the_waiting() -> None:
    interruption = Interruption(LocalLauncher())
    is_waited_for = make_patience(interruption)
    assert is_waited_for()
    interruption.stop(signal.SIGINT)
    assert not is_waited_for()
    assert make_patience(interruption)()  # a run that was stopped is waited for a little
