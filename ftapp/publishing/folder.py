"""The folder that is sent: an export with the run's model card as its README.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ftapp.analysis.records import Record, read_record
from ftapp.common.durable import replace_file
from ftapp.report.card import write_card_text
from ftapp.report.card_header import make_header
from ftapp.runs.run_folder import RunFolder

_README = "README.md"
_TITLE = re.compile(r"\A# [^\n]*\n+")


@dataclass(frozen=True)
class PublishedFolder:
    """What is sent.

    Attributes:
        folder: The folder.
        files: The bytes of each file by its path.
        header: The metadata of the card.
    """

    folder: Path
    files: dict[str, int]
    header: str


def prepare_folder(run: RunFolder, export: Path, library: str, license_name: str | None) -> PublishedFolder:
    """Put the model card in the place of an export's own README.md, whose text about the use goes into the card.

    Args:
        run: The run.
        export: The folder of the export, which has just been written.
        library: What a hub calls the library that reads the export.
        license_name: What a hub calls the licence; None where nobody has chosen one.

    Raises:
        OSError: The card cannot be written.
    """
    record, readme = read_record(run), export / _README
    use = _TITLE.sub("", readme.read_text("utf-8"))
    header = make_header(record, library, license_name)
    card = _leave_out_folders(write_card_text(record, use.splitlines()), record)
    replace_file(readme, f"{header}\n{card}".encode())
    found = sorted(path for path in export.rglob("*") if path.is_file())
    return PublishedFolder(export, {str(path.relative_to(export)): path.stat().st_size for path in found}, header)


def _leave_out_folders(card: str, record: Record) -> str:
    """Leave the folders of this machine, which may name a person, out of paths: `csv:reviews.csv`."""
    values = [str(value) for value in record.settings.values()]
    paths = [value if value.startswith("/") else value.partition(":")[2] for value in values]
    folders = {Path(path).parent for path in paths if path.startswith("/") and not path.startswith("//")}
    for folder in sorted(
        {*folders, record.run.folder.absolute().parent}, key=lambda each: len(str(each)), reverse=True
    ):
        if folder != Path(folder.anchor):
            card = card.replace(f"{folder}/", "")
    return card
