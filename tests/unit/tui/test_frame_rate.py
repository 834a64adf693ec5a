"""How often the interface draws."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("chosen", "frames"), [(None, "30"), ("12", "12")])
def test_the_interface_draws_thirty_frames_a_second_unless_the_user_chooses(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, frames: str
) -> None:
    monkeypatch.delenv("TEXTUAL_FPS", raising=False)
    if chosen:
        monkeypatch.setenv("TEXTUAL_FPS", chosen)
    code = "import ftapp.tui; from textual import constants; print(constants.MAX_FPS)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == frames
