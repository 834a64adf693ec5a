"""What the terminal can show, as it says itself."""

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
_SECONDS = 0.3  # for the answers: a slow connection is better off with less than with a late start

_answers = ""


def ask() -> None:
    """Ask the terminal, if there is one. Called before Textual takes it over, and would take answers for key presses.

    Where it shows all colours, COLORTERM says so from here on: few connections hand that variable on.
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
    """(width, height) of a cell in pixels, where the terminal has told."""
    found = _CELL.search(_answers)
    height, width = map(int, found.groups()) if found else (0, 0)
    return (width, height) if width and height else None


def has_kitty_graphics() -> bool:
    """Whether pictures can be shown by kitty's graphics protocol."""
    return "\x1b_Gi=31;OK" in _answers and "kitty" in os.environ.get("TERM", "")


def has_sixel() -> bool:
    """Whether pictures can be shown as sixels."""
    attributes = _LAST.search(_answers)
    return attributes is not None and _SIXEL in attributes[1].split(";")
