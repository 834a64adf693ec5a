"""What each interface imports, imported once in the process that forks them: they share its memory."""

from __future__ import annotations

import gc

# ruff: noqa: F401
import ftapp.tui.commands
import ftapp.tui.dialogs.help
import ftapp.tui.editor.configure
import ftapp.tui.screens.compare
import ftapp.tui.screens.experiment
import ftapp.tui.screens.queue
import ftapp.tui.screens.run
import ftapp.tui.screens.runs
import ftapp.tui.screens.try_it
from ftapp.tui import piped, recipe_facts
from ftapp.tui.app import FtApp

gc.collect()
gc.freeze()  # the collector would write to the pages of all these objects, which each interface would then copy
