"""Files without a name in the cache's folder, for data that may be larger than memory.

Such a file is mapped into memory, so that the system reads and drops its pages as they are needed. It is gone when its
process ends, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

from ftapp.common import user_folders


def open_unnamed() -> IO[bytes]:
    """Open a new file without a name.

    Raises:
        OSError: The cache's folder cannot be written.
        RunError: The user has no home folder.
    """
    folder = user_folders.cache()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)


def reserve(file: IO[bytes], size: int) -> None:
    """Reserve room on the disk: a process that writes to a mapped file for which there is none is killed.

    Args:
        file: The file.
        size: Its bytes from now on.

    Raises:
        OSError: There is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
