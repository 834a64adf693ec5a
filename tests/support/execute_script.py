"""Executes a script as `python -c SCRIPT ARGUMENTS` does, in a fork of `tests.support.quick_starts`.

python -m tests.support.execute_script SCRIPT ARGUMENTS
"""

import sys

if __name__ == "__main__":
    script = sys.argv.pop(1)
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
