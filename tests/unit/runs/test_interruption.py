"""What a command makes of the signals that it gets: one request, unless a person insists."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ftapp.runs.interruption import Interruption
from ftapp.runs.launcher import AT_ONCE, STOP_SIGNALS, JobFolder, do_nothing
from ftapp.runs.run_folder import RunFolder


class Remembering:
    """A launcher that starts nothing and remembers what it is asked for."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def start(self, job: JobFolder, environment: Mapping[str, str], prepare: Callable[[], None] = do_nothing) -> None:
        raise NotImplementedError

    def alive(self, job: JobFolder) -> bool:
        return True

    def interrupt(self, job: JobFolder, number: int = signal.SIGINT) -> None:
        self.sent.append(number)

    def wait(self, job: JobFolder) -> int:
        raise NotImplementedError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr("ftapp.runs.interruption.time.monotonic", lambda: now[0])
    return now


RUN = RunFolder(Path("run"))


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_storm_of_signals_is_one_request(number: int, clock: list[float]) -> None:
    launcher = Remembering()
    with Interruption(launcher) as context:
        context.add(RUN)
        for _ in range(20):
            os.kill(os.getpid(), number)
            clock[0] += 0.9
        assert context.requested
        assert set(launcher.sent) == {number}
        assert context.status == ("interrupted" if number == signal.SIGINT else "unfinished")
        assert len(context.take_messages()) == 1


def test_when_the_time_is_over_no_run_starts_and_none_is_sent_a_signal(clock: list[float]) -> None:
    launcher = Remembering()
    with Interruption(launcher, max_seconds=60) as context:
        context.add(RUN)
        clock[0] += 20
        before = context.requested, context.status
        assert context.environment == {"FTAPP_MAX_SECONDS": "40.000"}, "a run that starts now ends itself"
        clock[0] += 50
        assert [before, (context.requested, context.status)] == [(False, None), (True, "unfinished")]
        assert launcher.sent == []
        [message] = context.take_messages()
        assert "time" in message
        assert not context.take_messages(), "it is said once"
        os.kill(os.getpid(), signal.SIGINT)
        assert launcher.sent == [signal.SIGINT], "a user does not wait for the step"
        assert context.status == "interrupted"


def test_without_a_limit_runs_get_none(clock: list[float]) -> None:
    with Interruption(Remembering()) as context:
        clock[0] += 1e9
        assert not context.requested
        assert context.environment == {}


def test_sigterm_never_ends_at_once_and_ctrl_c_after_a_second_does(clock: list[float]) -> None:
    launcher = Remembering()
    with Interruption(launcher) as context:
        context.add(RUN)
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            clock[0] += 30
        os.kill(os.getpid(), signal.SIGINT)  # as batch systems send before or after it
        clock[0] += 1
        os.kill(os.getpid(), signal.SIGINT)  # in the same instant, on a machine that stood still
        assert AT_ONCE not in launcher.sent
        context.take_messages()
        clock[0] += 1
        os.kill(os.getpid(), signal.SIGINT)
        assert launcher.sent[-1] == AT_ONCE
        assert set(launcher.sent[:-1]) == {signal.SIGTERM}, "the first decides"


def test_a_run_that_starts_as_a_signal_comes_is_asked_too(clock: list[float]) -> None:
    launcher = Remembering()
    with Interruption(launcher) as context:
        os.kill(os.getpid(), signal.SIGTERM)
        context.add(RUN)
        assert launcher.sent == [signal.SIGTERM]


def test_once_asked_to_end_a_command_is_not_ended_by_more_signals(clock: list[float]) -> None:
    with Interruption(Remembering()):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
