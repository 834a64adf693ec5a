"""Settings of the interface that earlier versions have written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp.tui.settings import Settings


def test_a_pane_that_was_hidden_under_an_earlier_name_stays_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTAPP_CONFIG", str(tmp_path))
    (tmp_path / "interface.json").write_text('{"hidden": ["loss", "accuracy"]}', encoding="utf-8")
    assert Settings.load().hidden == ["loss", "metric"]
