"""The process that examines image files for another one (`ftapp.data.image_workers`), until that closes its pipe."""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from ftapp.data.image_examination import examine
from ftapp.data.image_workers import ExamineRequest, read_frame, write_frame


def main() -> None:
    """Answer requests on stdin until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # so that nothing else is written among the answers
    while frame := read_frame(requests):
        request = msgspec.msgpack.decode(frame, type=ExamineRequest)
        paths = list(map(os.fsdecode, request.paths))
        try:
            write_frame(answers, msgspec.msgpack.encode(examine(paths, whole=request.whole)))
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
