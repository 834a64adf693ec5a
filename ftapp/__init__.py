"""ftapp: a fine-tuning workbench for Keras 3 that lives in the terminal."""

import sys

__version__ = "0.1.0"

# While Python looks for the module of `python -m ftapp...`, this package is imported first, and the current folder
# stands at the head of the path. A program that has imported ftapp keeps its path.
if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == "ftapp":
    if not sys.flags.safe_path:
        del sys.path[0]
    from ftapp.common.processes import secure_this_process

    secure_this_process()
