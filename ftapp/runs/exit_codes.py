"""The exit codes of commands, by how the runs ended."""

from __future__ import annotations

from collections.abc import Collection

EXIT_CODES = {"done": 0, "failed": 1, "crashed": 1, "refused": 2, "unfinished": 75, "interrupted": 130, "pruned": 130}


def combine_exit_codes(codes: Collection[int]) -> int:
    """Return the exit code of a command that has done several things: 130 before 75 before 1 before 2 before 0.

    Args:
        codes: The exit code of each; -N of a process that signal N has ended, which counts as crashed.
    """
    known = [EXIT_CODES["crashed"] if code < 0 else code for code in codes]
    return next((code for code in (130, 75, 1, 2) if code in known), 0)
