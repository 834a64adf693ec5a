"""Colours and pictures on terminals of several kinds."""

from __future__ import annotations

import math
import os
import re
import signal
import sys
from itertools import combinations

import pexpect
import pytest
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.color import Lab, rgb_to_lab

from ftapp.tui.terminal.palette import PaletteFilter, find_nearest
from ftapp.tui.terminal.sixel_image import define_colors_first
from ftapp.tui.terminal.themes import THEMES

_ATTRIBUTES = "\x1b[?62;22c"
_ALL_COLORS = "\x1bP1$r0;48:2::1:2:3m\x1b\\"
_NOT_ALL = "\x1bP1$r0;48:5:16m\x1b\\"
_SECONDS = 60  # to start, and to answer, on a busy machine
_INTERFACE = f"""
from ftapp.cli import app
from ftapp.tui.terminal import capabilities
capabilities._SECONDS = {_SECONDS}
app.main()
"""


@pytest.mark.parametrize(("message", "kind"), [(_ALL_COLORS, b"48;2;"), (_NOT_ALL, b"48;5;"), ("", b"48;5;")])
def test_all_colors_are_used_where_the_terminal_has_them(message: str, kind: bytes) -> None:
    """Over SSH nothing else tells of it: COLORTERM is not handed on."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLORTERM", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    process = pexpect.spawn(
        sys.executable, ["-c", _INTERFACE, "--offline"], env=environment, dimensions=(40, 120), timeout=_SECONDS
    )
    try:
        process.expect_exact("\x1bP$qm\x1b\\\x1b[m\x1b[c")
        process.send(message + _ATTRIBUTES)
        process.expect_exact("vgg16-two-phase")
        shown = process.before
        assert kind in shown
        assert (b"48;5;" if kind == b"48;2;" else b"48;2;") not in shown
    finally:
        process.kill(signal.SIGKILL)
        process.wait()


def test_colors_of_the_palette_are_themselves() -> None:
    levels = (0, 95, 135, 175, 215, 255)
    cube = [(red, green, blue) for red in levels for green in levels for blue in levels]
    greys = [(grey, grey, grey) for grey in range(8, 248, 10)]
    assert [find_nearest(*color) for color in [*cube, *greys]] == list(range(16, 256))


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_grounds_of_a_theme_are_greys_that_differ(theme: object) -> None:
    grounds = [TextualColor.parse(getattr(theme, name)) for name in ("background", "surface", "panel")]
    found = [find_nearest(*color.rgb) for color in grounds]
    assert all(number >= 231 for number in found)  # 231 is white
    assert len(set(found)) == 3
    assert find_nearest(*TextualColor.parse(getattr(theme, "primary")).rgb) in range(16, 231)  # noqa: B009


def test_the_palette_changes_true_colors_alone() -> None:
    style = Style(color="#16181f", bgcolor="red", bold=True)
    [made, bare] = PaletteFilter().apply([Segment("a", style), Segment("b")], TextualColor(0, 0, 0))
    assert made == Segment("a", Style(color=Color.from_ansi(234), bgcolor="red", bold=True))
    assert bare == Segment("b")


def test_sixels_define_their_colors_before_they_use_them() -> None:
    from textual_image._sixel import image_to_sixels

    image = Image.linear_gradient("L").resize((24, 18)).convert("RGB")
    given = image_to_sixels(image)
    made = define_colors_first(given)
    definition = re.compile(r"#\d+;2;\d+;\d+;\d+")
    assert definition.findall(made) == definition.findall(given)
    assert len(definition.findall(made)) > 5
    header, body = re.match(r'(\x1bP[\d;]*q"[\d;]*(?:#\d+;2;\d+;\d+;\d+)*)(.*)', made, re.S).groups()  # type: ignore[union-attr]
    assert definition.search(header)
    assert not definition.search(body)
    assert re.sub(r"(#\d+);2;\d+;\d+;\d+", r"\1", given) == re.sub(definition, "", header) + body
    assert define_colors_first("no sixels") == "no sixels"


# Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency": what
# people without one kind of cones see, in linear RGB.
_VISIONS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def simulate(color: str, vision: str) -> Lab:
    """The colour as it is seen with a kind of vision, in CIELAB."""
    linear = [(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4) for part in parse(color)]
    seen = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in _VISIONS[vision]]
    coded = [12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in seen]
    red, green, blue = (round(255 * part) for part in coded)
    return rgb_to_lab(TextualColor(red, green, blue))


def parse(color: str) -> tuple[float, float, float]:
    return TextualColor.parse(color).normalized


@pytest.mark.parametrize("vision", _VISIONS)
@pytest.mark.parametrize("name", ["ftapp-colorblind-dark", "ftapp-colorblind-light"])
def test_colors_of_a_theme_for_the_color_blind_stay_apart(name: str, vision: str) -> None:
    [theme] = [each for each in THEMES if each.name == name]
    colors = [simulate(str(getattr(theme, each)), vision) for each in ("primary", "accent", "success", "error")]
    apart = [math.dist((a.L, a.a, a.b), (b.L, b.a, b.b)) for a, b in combinations(colors, 2)]
    assert min(apart) > 15
