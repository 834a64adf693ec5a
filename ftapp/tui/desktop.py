"""Opening files and folders: in the browser of a visitor, or with the programs of the desktop, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ftapp.common.safe_files import exists, explain_error
from ftapp.runs.run_folder import REPORT_FILE

if TYPE_CHECKING:
    from ftapp.tui.app import FtApp


def show(app: FtApp, path: Path) -> None:
    """Open a file or folder, or copy its path where nothing can open it.

    In a browser, a report opens in a tab of its own, and the browser saves other files.

    Args:
        app: Says what was done.
        path: The file or folder.
    """
    if not exists(path):
        app.notify(f"{path} is gone: it was deleted or moved", severity="error")
    elif app.is_web and path.is_file():
        _deliver(app, path)
    elif app.is_web or not open_path(path):
        app.copy_to_clipboard(str(path))
        app.notify(str(path), title="Path copied: there is no desktop to open it", markup=False)


def _deliver(app: FtApp, path: Path) -> None:
    is_report = path.name == REPORT_FILE
    name = f"{path.parent.name}.html" if is_report else path.name
    method: Literal["browser", "download"] = "browser" if is_report else "download"
    try:
        app.deliver_binary(path, save_directory=path.parent, save_filename=name, open_method=method)
    except OSError as error:
        app.notify(f"{path} cannot be read: {explain_error(error)}", severity="error", markup=False)


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
