"""The program `ftapp`. Without arguments it opens the interface as `ftapp.cli.app` does, but does not import Typer."""

from __future__ import annotations

import gc
import sys

from ftapp.common.processes import secure_this_process
from ftapp.common.standard_streams import open_closed


def main() -> None:
    """Open the interface on a terminal if there are no arguments; all else is up to `ftapp.cli.app`."""
    open_closed()
    secure_this_process()
    if sys.argv[1:] or not sys.stdout.isatty():
        # A command makes objects that nearly all stay; by default the collector takes an eighth of a short one's time.
        gc.set_threshold(50_000, 20, 20)
        from ftapp.cli import app

        app.main()
        return
    gc.disable()  # until the first frame: nothing that is made before it goes
    try:
        from ftapp.tui.app import run_app

        run_app(None, offline=False)
    except (KeyboardInterrupt, Exception) as error:
        from ftapp.cli.failure import end

        end(error)


if __name__ == "__main__":
    main()
