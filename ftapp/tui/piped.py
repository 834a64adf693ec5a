"""The interface at the end of three pipes, in a process that was forked for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path


def run_piped(
    stdin: Connection,
    stdout: Connection,
    stderr: Connection,
    variables: Mapping[str, str],
    runs_dir: Path | None,
    offline: bool,
) -> None:
    """Open the interface in this process, and return when it is closed.

    Args:
        stdin: What its page sends.
        stdout: What its page shows.
        stderr: What is wrong.
        variables: Variables of this process.
        runs_dir: The folder of runs; None for the default.
        offline: Whether runs make no network call.
    """
    for number, end in enumerate((stdin, stdout, stderr)):
        os.dup2(end.fileno(), number)
        end.close()
    # The process that forks has closed its own, which Textual would read.
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
    os.environ.update(variables)
    from ftapp.common import confinement
    from ftapp.tui.app import run_app

    if student := confinement.enter():
        student.link_data()
        student.remove_leftovers()
        os.chdir(student.own)  # where recipes of their own lie, and where a path without a folder leads

    run_app(runs_dir, offline=offline)
