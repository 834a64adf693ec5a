"""Event files for TensorBoard, written by tensorboardX, which needs neither TensorBoard nor TensorFlow."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from ftapp.runs.history import History
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun

_LONGEST_TAG = 40  # characters of a prompt that name its samples


class TensorBoardTracker:
    """Writes scalars, texts and hyperparameters into the folder `tensorboard` of a run.

    `tensorboard --logdir FOLDER_OF_RUNS` shows all runs.
    """

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Open a file in the folder. Hyperparameters are written for the first time alone."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.summary import hparams

        self._folder = run.folder / "tensorboard"
        self._folder.mkdir(exist_ok=True)
        count = len(list(self._folder.glob("events.*")))  # files of one second would have the same name
        # The writer below SummaryWriter's thread, which returns from `flush` before everything is written.
        self._writer: Any = EventsWriter(str(self._folder / "events"), f".{count}")
        _, begun, self._ended = hparams(run.config, {})
        if not former:
            self._write(begun, 0, run.created)
        return "tensorboard"

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Write scalars and texts, and flush them to the disk."""
        from tensorboardX.summary import scalar, text

        for each in records:
            if isinstance(each, Numbers):
                for name, value in each.named.items():
                    self._write(scalar(name, value), each.step, each.time)
            else:
                markdown = f"**{each.prompt}**{each.text.removeprefix(each.prompt)}"
                self._write(text(f"samples/{each.prompt[:_LONGEST_TAG]}", markdown), each.step, each.time)
        self._writer.flush()

    def _write(self, summary: Any, step: int, time: float) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time, step=step, summary=summary))

    def finish(self, history: History, status: str) -> str:
        """Mark a run that is done as successful, and close the file."""
        if status == "done" and history.ended:
            self._write(self._ended, 0, history.ended.time)
        self._writer.close()
        return f"tensorboard --logdir {shlex.quote(str(self._folder.parent.parent))}"
