"""The history of a run as a table: a row a step, with its training and evaluations."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ftapp.common.durable import replace_file
from ftapp.runs.history import History
from ftapp.tracking.tracker import Numbers, Sample, TrackedRun, read_records

_GROUPS = ("train", "validation", "held-out", "test")


class TableTracker:
    """Writes `history.csv` or `history.parquet` into a run's folder, once the run has ended."""

    def start(self, run: TrackedRun, target: str, former: str) -> str:
        """Remember the file."""
        self._file = run.folder / f"history.{target}"
        return target

    def send(self, records: Sequence[Numbers | Sample]) -> None:
        """Do nothing: the history has all numbers at the end."""

    def finish(self, history: History, status: str) -> str:
        """Write the table."""
        table = make_table(history)
        if self._file.suffix == ".csv":
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))
            replace_file(self._file, text.getvalue().encode())
        else:
            import pyarrow
            from pyarrow import parquet

            content = pyarrow.BufferOutputStream()
            parquet.write_table(pyarrow.table(table), content)
            replace_file(self._file, content.getvalue().to_pybytes())
        return str(self._file)


def make_table(history: History) -> dict[str, list[float | int | None]]:
    """Make the columns of a table: `step`, `time`, and the numbers of each group, None where there are none.

    Args:
        history: What the run has recorded.
    """
    rows: dict[int, dict[str, float]] = {}
    names: dict[str, None] = {}
    for event in (*history.steps, *history.evaluations):
        for record in read_records(event):
            if isinstance(record, Numbers) and record.group in _GROUPS:
                row = rows.setdefault(record.step, {"time": record.time})
                row |= record.named
                names |= dict.fromkeys(record.named)
    steps = sorted(rows)
    columns: dict[str, list[float | int | None]] = {"step": list(steps)}
    for name in ("time", *names):
        columns[name] = [rows[step].get(name) for step in steps]
    return columns
