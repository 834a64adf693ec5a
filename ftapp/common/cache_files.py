"""Small results kept in the cache, each with its checksum: read as they were written, or not at all."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

from ftapp.common import safe_files
from ftapp.common.durable import replace_file

_LARGEST = 2**30  # bytes: the checks of 14 million images

_log = logging.getLogger(__name__)


def keep(path: Path, content: bytes) -> None:
    """Keep a result. A cache that cannot be written is no error: it is worked out again next time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, _compute_checksum(content) + b"\n" + content)


def load(path: Path) -> bytes | None:
    """What was kept; None where there is nothing, and, with a warning, where it is damaged."""
    try:
        kept = safe_files.read_bytes(path, _LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s cannot be read: %s; its content is computed again", path, safe_files.explain_error(error))
        return None
    checksum, _, content = kept.partition(b"\n")
    if checksum == _compute_checksum(content):
        return content
    _log.warning("%s is damaged (its checksum differs); its content is computed again", path)
    return None


def _compute_checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()
