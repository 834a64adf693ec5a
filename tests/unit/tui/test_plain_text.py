"""Signs in place of those that a terminal without Unicode lacks."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper

import pytest
from rich.cells import cell_len

from ftapp.tui.terminal import plain_text


def written(text: str, encoding: str) -> str:
    buffer = BytesIO()
    stream = TextIOWrapper(buffer, encoding)
    plain_text.prepare(stream)
    stream.write(text)
    stream.flush()
    return buffer.getvalue().decode(encoding)


def test_boxes_and_charts_in_ascii() -> None:
    assert written("╭─ Loss ━╮\n│⣀⠉⣿⠀┃\n╰┻┫", "ascii") == "+- Loss -+\n|.': |\n+++"


def test_marks_arrows_and_letters() -> None:
    assert written("● ■ ▼ ↑ … · é 漢 ▆ \U0001f600", "ascii") == "* # v ^ . . e ?? # ??"


@pytest.mark.parametrize("sign", "╭─│╰━┃┻●○•■▼▲↑…·⏎█▆▌é漢한🙂×–")
def test_what_is_put_in_place_is_as_wide(sign: str) -> None:
    assert len(plain_text.to_ascii(sign)) == cell_len(sign)
    assert plain_text.to_ascii(sign).isascii()


def test_encodings_keep_what_they_have() -> None:
    assert written("café │", "latin-1") == "café |"
    assert written("café │ ⣿", "utf-8") == "café │ ⣿"


def test_what_is_no_terminal_stays_as_it_is() -> None:
    plain_text.prepare(None)
    plain_text.prepare(BytesIO())
