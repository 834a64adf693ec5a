"""What quick imports leave out, and that it comes back."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftapp.common.quick_imports import quick_imports

OPTIONAL = ("jax", "pandas", "scipy", "sklearn")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each optional library is installed, as an empty module, and not imported yet."""
    imported = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in OPTIONAL}
    for name in imported:
        monkeypatch.delitem(sys.modules, name)
    for name in OPTIONAL:
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in OPTIONAL:
        sys.modules.pop(name, None)


def can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("is_on", [True, False])
def test_collector_is_as_it_was_also_after_an_error(is_on: bool) -> None:
    during = []

    def fail() -> None:
        with quick_imports():
            during.append(gc.isenabled())
            raise ImportError

    (gc.enable if is_on else gc.disable)()
    try:
        with pytest.raises(ImportError):
            fail()
        assert during == [False]
        assert gc.isenabled() == is_on
    finally:
        gc.enable()


def test_collector_is_on_after_two_at_once() -> None:
    first, second = quick_imports(), quick_imports()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("backend", "importable"),
    [("tensorflow", set()), ("torch", set()), ("jax", {"jax", "scipy"}), (None, {"jax", "scipy"})],
)
def test_optional_libraries_are_left_out_until_the_end(
    stub: None, monkeypatch: pytest.MonkeyPatch, backend: str | None, importable: set[str]
) -> None:
    monkeypatch.delenv("KERAS_BACKEND")
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    with quick_imports():
        assert set(filter(can_import, OPTIONAL)) == importable
    assert all(map(can_import, OPTIONAL))


@pytest.mark.usefixtures("stub")
def test_other_threads_import_all_libraries_meanwhile() -> None:
    with ThreadPoolExecutor(1) as other, quick_imports():
        assert not can_import("pandas")
        assert other.submit(can_import, "pandas").result()
        assert can_import("pandas"), "what another thread has imported is there"


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], set[str]]:
    """What a process that imports Keras and a job quickly tells of the collector, and the names of its modules."""
    code = """
import gc, sys
from ftapp.common.quick_imports import quick_imports
with quick_imports():
    import ftapp.recipe
print(gc.get_freeze_count())
with quick_imports():
    import keras
print(gc.get_freeze_count() > 100_000)
gc.unfreeze()
with quick_imports():
    import ftapp.models.build
print(gc.get_freeze_count())
with quick_imports():
    from ftapp.training import job
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *counts, modules = done.stdout.splitlines()
    return counts, set(modules.split())


def test_keras_is_imported_without_optional_libraries(imported: tuple[list[str], set[str]]) -> None:
    _, modules = imported
    assert "keras" in modules
    assert not set(OPTIONAL) & modules


def test_collector_leaves_out_what_the_first_import_of_keras_has_made(imported: tuple[list[str], set[str]]) -> None:
    counts, _ = imported
    assert counts == ["0", "True", "0"]
