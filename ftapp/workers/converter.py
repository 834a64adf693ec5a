"""The process that builds a frozen half again on TensorFlow and converts it, for runs on the other backends."""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Convert the model in a folder (`ftapp.freezing.openvino_engine`)."""
    from ftapp.common.quick_imports import quick_imports

    with quick_imports():
        from ftapp.freezing.openvino_engine import convert_folder

    convert_folder(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
