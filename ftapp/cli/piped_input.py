"""Standard input, passed to a helper process by a named pipe: the helper's own standard input carries its requests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ftapp.rpc.prediction_messages import PredictQuestion


@contextmanager
def pipe_standard_input(question: PredictQuestion) -> Iterator[PredictQuestion]:
    """Put a named pipe in the place of standard input, if that is among the inputs, and copy into it.

    Args:
        question: A question about inputs.

    Yields:
        The question with the pipe, which is there until the context ends.
    """
    if not any(name == "-" for _, name in question.inputs):
        yield question
        return
    with tempfile.TemporaryDirectory(prefix="ftapp-input-") as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe, 0o600)

        def copy() -> None:
            with open(pipe, "wb") as target:  # noqa: PTH123 - it waits for the reader
                try:
                    shutil.copyfileobj(sys.stdin.buffer, target)
                except BrokenPipeError:  # the predictor has ended
                    return

        threading.Thread(target=copy, name="input", daemon=True).start()
        inputs = [(str(pipe), name) if name == "-" else (path, name) for path, name in question.inputs]
        yield msgspec.structs.replace(question, inputs=inputs)
