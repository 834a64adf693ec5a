"""A worker of pytest-xdist that begins where Keras is imported: `quick_starts.make_worker_command` names this module.

Its arguments are those that execnet gives to Python, of which the last is the program that makes it a worker.
"""

import sys

if __name__ == "__main__":
    exec(sys.argv[-1])
