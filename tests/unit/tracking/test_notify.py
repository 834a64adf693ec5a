"""Notifications: a real webhook on this machine, and a program in the place of the desktop's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ftapp.recipe.user_settings import Notify
from ftapp.tracking.notify import describe_end, notify
from tests.support.recorded_runs import record_run
from tests.support.webhook import serve_webhook

END = {"text": "it is done", "run": "r", "seconds": 4.2}


def test_the_end_of_a_run_is_told_in_a_sentence(tmp_path: Path) -> None:
    run = record_run(tmp_path)
    end = describe_end("it", run.history(), "done")
    assert end["text"] == "it: done, test loss 1.0000, test accuracy 0.8000, 4.2 s"
    assert (end["recipe"], end["status"], end["error"]) == ("bert-full", "done", None)
    assert end["metrics"] == {"loss": 1.0, "accuracy": 0.8}


def test_a_webhook_is_told_again_where_it_is_busy() -> None:
    with serve_webhook(503, 200) as hook:
        assert notify(Notify(webhook=hook.address), END) == []
        assert hook.received == [END, END]


def test_a_webhook_that_refuses_or_is_not_there_is_told_of_without_its_address() -> None:
    with serve_webhook(403) as hook:
        assert notify(Notify(webhook=hook.address), END) == ["the webhook at 127.0.0.1 was not told: it answers 403"]
        address = hook.address
    (problem,) = notify(Notify(webhook=address), END)
    assert problem.startswith("the webhook at 127.0.0.1 was not told: ")
    assert "secret" not in problem


def test_a_webhook_cannot_hold_up_its_caller_nor_break_on_numbers() -> None:
    with serve_webhook(429, 200, retry_after="86400") as hook:
        assert notify(Notify(webhook=hook.address), END | {"metrics": {"loss": math.nan}}) == []
        assert hook.received[-1]["metrics"] == {"loss": None}
        hook.codes = [503]
        assert notify(Notify(webhook=hook.address), END) == ["the webhook at 127.0.0.1 was not told: it answers 503"]


def test_nothing_is_sent_offline() -> None:
    with serve_webhook() as hook:
        (problem,) = notify(Notify(webhook=hook.address), END, offline=True)
        assert problem.endswith("with --offline, nothing is sent")
        assert hook.received == []


def test_short_runs_are_not_told() -> None:
    with serve_webhook() as hook:
        assert notify(Notify(webhook=hook.address, after=5), END) == []
        assert notify(Notify(webhook=hook.address, after=4), END) == []
        assert len(hook.received) == 1


def test_the_desktop_shows_the_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    settings = Notify(desktop=True)
    assert notify(settings, END) == ["the desktop shows no notification: there is no desktop here"]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the program 'notify-send' is not installed" in notify(settings, END)[0]
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/told\n', encoding="utf-8")
    program.chmod(0o755)
    assert notify(settings, END) == []
    assert (tmp_path / "told").read_text("utf-8") == "--app-name=ftapp|ftapp|it is done|"
    program.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    assert notify(settings, END) == ["the desktop shows no notification: 'notify-send' ended with code 3"]
