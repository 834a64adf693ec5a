"""The request to export a run's model. Imports no Keras."""

from __future__ import annotations

import os
from pathlib import Path

from ftapp.common.downloads import Progress
from ftapp.common.errors import RunError
from ftapp.recipe import Backend
from ftapp.rpc.client import HelperClient
from ftapp.rpc.messages import Exported


class ExportClient(HelperClient):
    """Exports of a finished run's model (`ftapp.workers.export_requests`). `export` raises as InspectorClient's do.

    Args:
        folder: The run's folder, where its recipe and `model` folder are.
        offline: Whether the process makes no network call.
    """

    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        super().__init__("ftapp.workers.predictor", offline=offline)
        self._run = str(folder.absolute())

    async def export(
        self,
        to: str,
        folder: Path,
        backend: Backend,
        *,
        int8: bool = False,
        examples: int = 50,
        replaces: bool = False,
        progress: Progress | None = None,
    ) -> Exported:
        """Export the trained model, and check the export on the run's test split.

        Args:
            to: The format, a key of `ftapp.models.export.formats.FORMATS`.
            folder: The folder of the export.
            backend: What Keras computes with while it writes this format.
            int8: Whether the export is in int8.
            examples: How many test examples are compared at most; 0 for no check.
            replaces: Whether a folder that is there is replaced.
            progress: Called with what is being done.
        """
        parameters = {"run": self._run, "to": to, "folder": str(folder.absolute()), "int8": int8}
        options = {"examples": examples, "replaces": replaces}
        return await self._ask(backend, Exported, "export", progress, **parameters, **options)


def find_export_folder(run: Path, to: str, *, int8: bool = False) -> Path:
    """Return the usual folder of an export.

    Args:
        run: The run's folder.
        to: The format.
        int8: Whether the export is in int8.
    """
    return run / "export" / (f"{to}-int8" if int8 else to)


def check_export_folder(folder: Path, *, replaces: bool = False) -> None:
    """Check that an export may be written to a folder.

    Args:
        folder: The folder of the export.
        replaces: Whether an export that is there is replaced.

    Raises:
        RunError: The folder is a file, or holds something that is not to be replaced.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise RunError(f"'{folder}' is a file; an export is a folder")
    held = sorted(each.name for each in folder.iterdir())
    if held and not replaces:
        raise RunError(f"'{folder}' exists and is not empty; replace it (--force), or choose another folder")
    if held and "predict.py" not in held:
        raise RunError(f"'{folder}' holds no export but '{held[0]}'; only exports are replaced; choose another folder")
