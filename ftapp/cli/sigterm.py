"""SIGTERM as the end of what asyncio runs."""

from __future__ import annotations

import signal


def end_at_sigterm() -> None:
    """End what asyncio runs at SIGTERM as at SIGINT; also in a job in the background of a script, which ignores SIGINT.

    Raises:
        KeyboardInterrupt: SIGTERM has come; raised from where the process is then.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
