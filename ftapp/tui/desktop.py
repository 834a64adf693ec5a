"""Opening files and folders with the desktop's own programs, where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def open_path(path: Path) -> bool:
    """Open a file or folder with the desktop's program for it.

    Args:
        path: The file or folder.

    Returns:
        Whether a program was started. There is none without a desktop, as over SSH.
    """
    if sys.platform == "darwin":
        opener = "open"
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        opener = "xdg-open"
    else:
        return False
    if not shutil.which(opener) or os.environ.get("SSH_CONNECTION"):
        return False
    try:
        subprocess.Popen(
            [opener, str(path)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return True
