"""The machine and the packages that decide what a run computes."""

from __future__ import annotations

import platform
from pathlib import Path

_PACKAGES = ("ftapp", "keras", "keras-hub", "tensorflow", "jax", "torch", "numpy", "openvino", "nncf")


def _get_version(package: str) -> str | None:
    from importlib import metadata  # here, since lists of runs, which are shown first, need none of it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def list_packages() -> dict[str, str]:
    """List the versions of the installed packages that decide what a run computes, by name."""
    return {package: version for package in _PACKAGES if (version := _get_version(package))}


def find_processor() -> str:
    """Find the name of this machine's processor; empty where it is not known."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
