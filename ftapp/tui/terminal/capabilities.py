"""What the terminal can show, by its own answers."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty

# Size of a cell in pixels, the kitty graphics protocol, whether a background of one colour in 16 million stays what it
# is (DECRQSS of the graphic rendition), and device attributes: every terminal answers the last.
_QUESTIONS = "\x1b[16t\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c"
_LAST = re.compile(r"\x1b\[\?([\d;]*)c")
_CELL = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_COLOR = re.compile(r"\x1bP1\$r[\d:;]*48[:;]2[:;]+1[:;]2[:;]3m")
_SIXEL = "4"  # among the attributes
_SECONDS = 0.3  # for the answers: on a slow connection, fewer features are better than a late start

_answers = ""


def query() -> None:
    """Query the terminal, if there is one, before Textual starts: Textual would read the answers as key presses.

    Where the terminal shows all colours, COLORTERM is set: few connections pass this variable on.
    """
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
    if _COLOR.search(_answers):
        os.environ["COLORTERM"] = "truecolor"


def cell_size() -> tuple[int, int] | None:
    """Return the (width, height) of a cell in pixels; None where the terminal has not answered."""
    found = _CELL.search(_answers)
    height, width = map(int, found.groups()) if found else (0, 0)
    return (width, height) if width and height else None


def has_kitty_graphics() -> bool:
    """Whether the terminal has kitty's graphics protocol."""
    return "\x1b_Gi=31;OK" in _answers and "kitty" in os.environ.get("TERM", "")


def has_sixel() -> bool:
    """Whether the terminal shows sixels."""
    attributes = _LAST.search(_answers)
    return attributes is not None and _SIXEL in attributes[1].split(";")
