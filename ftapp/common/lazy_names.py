"""Packages whose names are imported when they are used, so that nobody waits for modules that are not needed."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def import_on_use(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package.

    Args:
        package: The package.
        names: The names that each module gives to the package, with spaces between them, by module.

    Returns:
        A function that imports the value of a name, and raises AttributeError for other names.
    """
    modules = {name: module for module, given in names.items() for name in given.split()}

    def import_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return import_name
