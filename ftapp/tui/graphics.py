"""How the terminal shows pictures: as pixels where it can, else as two coloured halves of each cell.

textual-image asks the terminal when it is imported, and would do so while Textual reads the answers as key presses.
So `ask` asks before the interface starts, and `image_class` imports textual-image with the terminal out of its sight.
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual_image.widget._base import Image

# Size of a cell in pixels, the kitty graphics protocol, and device attributes: every terminal answers the last.
_QUESTIONS = "\x1b[16t\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
_LAST = re.compile(r"\x1b\[\?[\d;]*c")
_SECONDS = 0.3  # for the answers: a slow connection is better off with coloured halves than with a late start

_answers = ""


def ask() -> None:
    """Ask the terminal, if there is one. Called before Textual takes it over."""
    global _answers
    if "TEXTUAL_DRIVER" in os.environ or not (sys.__stdin__ and sys.__stdin__.isatty() and sys.stderr.isatty()):
        return
    descriptor = sys.__stdin__.fileno()
    former = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        os.write(sys.stderr.fileno(), _QUESTIONS.encode())
        heard, until = b"", time.monotonic() + _SECONDS
        while not _LAST.search(heard.decode(errors="replace")):
            if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                break
            heard += os.read(descriptor, 1024)
        _answers = heard.decode(errors="replace")
    except OSError:
        pass
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, former)


def image_class(app: App[object]) -> type[Image]:
    """The widget of textual-image that suits what shows the app. The first call imports for a fifth of a second."""
    terminal = sys.__stdout__
    if "textual_image.widget" not in sys.modules:
        sys.__stdout__ = io.StringIO()  # type: ignore[misc, assignment]
    try:
        from textual_image import _terminal, widget
    finally:
        sys.__stdout__ = terminal  # type: ignore[misc]
    if size := re.search(r"\x1b\[6;(\d+);(\d+)t", _answers):
        height, width = map(int, size.groups())
        if width and height:
            setattr(_terminal.get_cell_size, "_result", _terminal.CellSize(width, height))  # noqa: B010
    if app.is_headless or app.is_web:
        return widget.HalfcellImage
    if "\x1b_Gi=31;OK" in _answers and "kitty" in os.environ.get("TERM", ""):
        return widget.TGPImage
    if (attributes := _LAST.search(_answers)) and "4" in re.findall(r"\d+", attributes.group()):
        return widget.SixelImage
    return widget.HalfcellImage
