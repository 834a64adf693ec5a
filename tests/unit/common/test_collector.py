"""The garbage collector that imports switch off."""

from __future__ import annotations

import gc

import pytest

from ftapp.common.collector import collector_off


@pytest.mark.parametrize("is_on", [True, False])
def test_collector_is_as_it_was_also_after_an_error(is_on: bool) -> None:
    during = []

    def fail() -> None:
        with collector_off():
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
    first, second = collector_off(), collector_off()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()
