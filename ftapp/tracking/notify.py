"""Notifications at the end of a run: on the desktop, and to a webhook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ftapp.common.formatting import format_duration
from ftapp.common.processes import make_child_environment
from ftapp.recipe.metrics import get_metric
from ftapp.recipe.user_settings import Notify
from ftapp.runs.history import History

_SECONDS = 10.0  # that a webhook may take
_TRIES = 3
_JSON = {"Content-Type": "application/json"}
_OFFLINE = "with --offline, nothing is sent"


def describe_end(name: str, history: History, status: str) -> dict[str, Any]:
    """Describe the end of a run.

    Args:
        name: The name of the run's folder.
        history: What it has recorded.
        status: Its status.

    Returns:
        A sentence in `text`, and `run`, `recipe`, `status`, `metrics`, `seconds` and `error`.
    """
    ended, result = history.ended, history.result
    metrics = result.values if result else {}
    seconds = ended.seconds if ended else None
    parts = [f"{name}: {status}"]
    parts += [f"test {get_metric(key).label} {get_metric(key).format_plain(value)}" for key, value in metrics.items()]
    if seconds is not None:
        parts.append(format_duration(seconds))
    if ended and ended.error:
        parts.append(ended.error)
    return {
        "text": ", ".join(parts),
        "run": name,
        "recipe": history.started.recipe if history.started else None,
        "status": status,
        "metrics": metrics,
        "seconds": seconds,
        "error": ended.error if ended else None,
    }


def notify(settings: Notify, end: Mapping[str, Any], *, offline: bool = False) -> list[str]:
    """Tell the user that a run has ended, unless it was too short.

    Args:
        settings: How.
        end: The end, as `describe_end` describes it.
        offline: Whether no network call is made.

    Returns:
        Why the user was not told, a sentence for each way that failed.
    """
    if (end["seconds"] or 0.0) < settings.after:
        return []
    problems = []
    if settings.webhook and (problem := _OFFLINE if offline else _post(settings.webhook, end)):
        problems.append(f"the webhook at {urlsplit(settings.webhook).hostname} was not told: {problem}")
    if settings.desktop and (problem := _show(str(end["text"]))):
        problems.append(f"the desktop shows no notification: {problem}")
    return problems


def _post(address: str, end: Mapping[str, Any]) -> str | None:
    """Post to a webhook. Returns what went wrong, without the address, which may hold a secret."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    content = msgspec.json.encode(end)  # numbers that are not finite become null
    retry = Retry(
        _TRIES,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may name a day
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        try:
            # The body of the answer, which may never end, is not read.
            answer = session.post(address, content, headers=_JSON, timeout=_SECONDS, stream=True)
        except requests.RequestException as error:
            return type(error).__name__
        return None if answer.ok else f"it answers {answer.status_code}"


def _show(text: str) -> str | None:
    """Show a notification on this machine's desktop. Returns what went wrong."""
    if sys.platform == "darwin":
        script = 'on run words\ndisplay notification (item 1 of words) with title "ftapp"\nend run'
        command = ["osascript", "-e", script, text]
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        command = ["notify-send", "--app-name=ftapp", "ftapp", text]
    else:
        return "there is no desktop here"
    if not shutil.which(command[0]):
        return f"the program '{command[0]}' is not installed"
    try:
        done = subprocess.run(
            command, env=make_child_environment({}), timeout=_SECONDS, capture_output=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return None if done.returncode == 0 else f"'{command[0]}' ended with code {done.returncode}"
