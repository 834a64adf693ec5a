"""The variables of a shell that decide how runs compute and what they reach.

What waits in the queue runs with those of the shell that has added it, whichever shell has started the queue.
"""

from __future__ import annotations

import os

OF_TERRAFORM = ("TF_CLI_", "TF_TOKEN_", "TF_VAR_")
"""Beginnings of the variables of another program. They begin as those of TensorFlow do, and may be secret."""

_DEVICES = "CUDA_"
_BEGINNINGS = (_DEVICES, "JAX_", "KERAS_", "TF_", "XLA_")
_NAMES = (
    *("FTAPP_CACHE", "FTAPP_FEATURES_GIB", "FTAPP_GUTENBERG", "FTAPP_OFFLINE", "FTAPP_VERIFY_CACHE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_OF_STARTS = ("HF_HUB_OFFLINE", "TMPDIR")  # what the starts of runs and the walls of a class set beside FTAPP_


def read_shell_variables(*, is_for_here: bool = True) -> dict[str, str]:
    """Read the variables of this process. Those with a password, as proxies may have, are left out.

    Args:
        is_for_here: Whether they are for a run on this machine. Elsewhere, Slurm or Ray chooses the devices.
    """
    found = {name: value for name, value in os.environ.items() if _decides(name)}
    if not is_for_here:
        found = {name: value for name, value in found.items() if not name.startswith(_DEVICES)}
    return {name: value for name, value in found.items() if not ("://" in value and "@" in value)}


def drop_shell_variables() -> None:
    """Take these variables from this process, so that what it starts does not inherit them."""
    for name in read_shell_variables():
        del os.environ[name]


def can_be_queued(name: str) -> bool:
    """Tell whether an entry of the queue can set a variable: one of these, or what the start of a run sets."""
    return _decides(name) or name.startswith("FTAPP_") or name in _OF_STARTS


def _decides(name: str) -> bool:
    if name.startswith(OF_TERRAFORM):
        return False
    return name.startswith(_BEGINNINGS) or name.upper() in _NAMES
