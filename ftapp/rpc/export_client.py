"""The request to export a run's model. Imports no Keras."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ftapp.common import durable
from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError, suggest_nearest
from ftapp.common.formatting import format_duration, format_quantity, format_size
from ftapp.common.safe_files import explain_error
from ftapp.rpc.client import HelperClient
from ftapp.rpc.messages import Exported
from ftapp.runs.export_formats import FORMATS


@dataclass(frozen=True)
class ExportChoice:
    """What is exported, and where to.

    Attributes:
        to: The name of the format.
        folder: The folder of the export.
        int8: Whether the export is in int8.
        examples: How many test examples are compared at most; 0 for no check.
        replaces: Whether an export that is there is replaced.
    """

    to: str
    folder: Path
    int8: bool = False
    examples: int = 50
    replaces: bool = False

    def check(self) -> None:
        """Check what can be checked before the model is loaded.

        Raises:
            RunError: The format is unknown, has no int8, or lacks a package; or something else is in the folder.
        """
        if self.to not in FORMATS:
            raise RunError(f"there is no format '{self.to}'; {suggest_nearest(self.to, FORMATS)}")
        if self.examples < 0:
            raise RunError(f"examples is 0 or more, and 0 leaves the check out; got {self.examples}")
        FORMATS[self.to].check_int8(self.to, int8=self.int8)
        FORMATS[self.to].check_installed(self.to, int8=self.int8)
        _check_folder(self.folder, replaces=self.replaces)


class ExportClient(HelperClient):
    """Exports of a finished run's model (`ftapp.workers.export_requests`). `export` raises as InspectorClient's do.

    Args:
        folder: The run's folder, where its recipe and `model` folder are.
        offline: Whether the process makes no network call.
    """

    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.predictor", offline=offline)
        self._run = str(folder.absolute())
        self._places: set[Path] = set()

    async def close(self) -> None:
        """End the process, if there is one, and remove what it left of exports that it had not finished."""
        await super().close()
        for place in self._places:
            durable.remove_leftovers(place.parent, place.name)

    async def export(self, choice: ExportChoice, progress: Progress | None = None) -> Exported:
        """Export the trained model, and check the export on the run's test split.

        Args:
            choice: What is exported, and where to.
            progress: Called with what is being done.
        """
        folder = choice.folder.absolute()
        self._places.add(folder)
        parameters = asdict(choice) | {"run": self._run, "folder": str(folder)}
        return await self._ask(FORMATS[choice.to].backend, Exported, "export", progress, **parameters)


def describe_export(made: Exported) -> dict[str, str]:
    """Describe a written export and its check, as texts by their labels."""
    return {
        "export": made.folder,
        "files": ", ".join(f"{name} {format_size(size)}" for name, size in made.files.items() if size >= 2**16)
        or f"{len(made.files)}",
        **_describe_check(made),
        **{"note" if not index else f"note {index + 1}": note for index, note in enumerate(made.notes)},
        "seconds": format_duration(made.seconds),
    }


def _describe_check(made: Exported) -> dict[str, str]:
    check = made.check
    if check is None:
        return {"check": "left out: no answers were compared"}
    rows = {
        "equal answers": f"{check.agreeing} of {format_quantity(check.examples, 'test example')}"
        + (f" (int8: at least {check.least_agreement:.0%})" if made.int8 else ""),
        "largest difference": f"{check.difference:.2g}"
        + (f" (at most {check.tolerance:.2g})" if check.tolerance is not None else ""),
    }
    if check.metric and check.before is not None and check.after is not None:
        rows[f"{check.metric} on them"] = f"{check.before:.4g} before, {check.after:.4g} after"
    if check.tokens is not None:
        rows["equal tokens"] = f"{check.tokens} of {format_quantity(check.examples, 'text')}"
    if check.continuations:
        rows["equal continuations"] = f"{check.continuations[0]} of {check.continuations[1]} prompts"
    return rows


def find_export_folder(run: Path, to: str, *, int8: bool = False) -> Path:
    """Return the usual folder of an export.

    Args:
        run: The run's folder.
        to: The format.
        int8: Whether the export is in int8.
    """
    return run / "export" / (f"{to}-int8" if int8 else to)


def _check_folder(folder: Path, *, replaces: bool) -> None:
    """Check that an export may be written to a folder. replaces: whether an export that is there is replaced."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise RunError(f"'{folder}' is a file; an export is a folder")
    try:
        held = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        raise RunError(f"'{folder}' cannot be read: {explain_error(error)}; choose another folder") from error
    if held and not replaces:
        raise RunError(f"'{folder}' exists and is not empty; replace it (--force), or choose another folder")
    if held and "predict.py" not in held:
        raise RunError(f"'{folder}' holds no export but '{held[0]}'; only exports are replaced; choose another folder")
