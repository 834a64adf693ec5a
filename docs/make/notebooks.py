"""Execute the notebooks of the documentation, and write their outputs into them.

    python docs/make/notebooks.py

Their runs and downloads are kept where those of the user are; FTAPP_RUNS names another folder of runs.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted(Path(__file__).parents[1].glob("*.ipynb"))


def execute(path: Path) -> nbformat.NotebookNode:
    """Execute all cells of a notebook.

    Args:
        path: The file.

    Returns:
        The notebook with its outputs.

    Raises:
        CellExecutionError: A cell has failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook, timeout=900, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
        ).execute()
    return notebook


def main() -> None:
    """Execute the notebooks, and keep their outputs in their files."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for path in NOTEBOOKS:
        notebook = execute(path)
        notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
