"""Standard input and output that a shell has closed (`ftapp run ... >&-`) lead to /dev/null.

Left closed, Python has None in their place, and the next file that is opened takes their number: what any library then
prints lands in that file.
"""

from __future__ import annotations

import os
import sys


def open_closed() -> None:
    """Open those that are closed. Called first, before any other file is opened."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
