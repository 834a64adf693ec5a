"""What answers rest on, for pages: texts with shaded words, images below their maps, and texts as pictures (SVG)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rich.cells import cell_len

from ftapp.common.formatting import make_printable
from ftapp.report import page
from ftapp.runs.explanations import Explanation

CAUTION = (
    "A map shows what the model's score reacts to. It does not show that this is a good reason, nor what the model "
    "would do without it."
)
UNCERTAIN = "The parts do not add up to the difference of the scores, so their shares are uncertain."
_FOR, _AGAINST = 1, 0  # tones of pages: orange and blue, which everyone can tell apart
_COLORS = {_FOR: (207, 90, 0), _AGAINST: (10, 100, 164)}  # as page.css has them on light pages
_STRONGEST = 0.55  # opacity of the strongest shade, on which a text can still be read
_FAINTEST = 0.04  # of shades; below they cannot be seen
_UNREAD = 200  # characters that are shown of what the model does not read
_COLUMNS, _CELL, _LINE, _SIZE, _MARGIN = 80, 8.4, 24, 14, 24  # of SVG: cells of a line, and pixels


def shade_words(found: Explanation) -> str:
    """Shade the words of a text by their shares, as HTML: orange speaks for the class, blue against it."""
    parts = []
    for word, (text, shade) in zip(found.words, found.shades, strict=True):
        space, inside = _split_space(text)
        if word.share is None:
            shown = inside if len(inside) <= _UNREAD else f"{inside[:_UNREAD]}…"
            parts.append(f'{space}<span class="soft">{escape(shown)}</span>')
        elif abs(shade) < _FAINTEST:
            parts.append(space + escape(inside))
        else:
            tone = _FOR if shade > 0 else _AGAINST
            style = f"background:color-mix(in srgb, var(--tone-{tone}) {abs(shade) * _STRONGEST:.0%}, transparent)"
            parts.append(f'{space}<span title="{word.share:+.1%}" style="{style}">{escape(inside)}</span>')
    return f'<div class="shaded">{"".join(parts)}</div>'


def describe_for(label: str) -> tuple[str, str]:
    """Describe what the two colours say."""
    return (f"speaks for {label}", f"speaks against {label}") if label else ("raises the number", "lowers the number")


def embed_image(content: bytes, alt: str) -> str:
    """Embed a picture in WebP."""
    return f'<img alt="{escape(alt, quote=True)}" src="data:image/webp;base64,{base64.b64encode(content).decode()}">'


def build_shaded(caption: str, found: Explanation) -> str:
    """Build a figure of a text with shaded words."""
    legend = list(zip(describe_for(found.label), (_FOR, _AGAINST), strict=True))
    return page.build_figure(caption, shade_words(found), "" if found.is_complete else UNCERTAIN, legend)


def build_explained(name: str, answer: str, explained: Sequence[tuple[str, Explanation]]) -> Iterator[str]:
    """Build the part of a page about an input.

    Args:
        name: The text, or the path of the image.
        answer: The model's answer.
        explained: Explanations, each with a caption.

    Yields:
        HTML.
    """
    pictured = [(caption, each) for caption, each in explained if each.overlay]
    if pictured:
        first = pictured[0][1]
        yield page.build_heading(f"{name}: {answer}")
        images = [page.build_picture(embed_image(first.picture, name), ["as the model sees it"])]
        images += [page.build_picture(embed_image(each.overlay, caption), [caption]) for caption, each in pictured]
        yield page.build_grid(images, "pictures large")
    for caption, each in explained:
        if not each.overlay:
            yield build_shaded(caption, each)


def build_page(title: str, method: str, parts: Iterable[str]) -> str:
    """Build a page of explanations.

    Args:
        title: The name of the run.
        method: How the answers are explained.
        parts: HTML.
    """
    head = (
        f'<header><h1>{escape(title)}</h1><p class="summary">{escape(f"Explained by {method}. {CAUTION}")}</p></header>'
    )
    return page.build_page(title, [head, *parts])


def draw_text(explained: Sequence[tuple[str, Explanation]]) -> str:
    """Draw a text with shaded words, as SVG, once for each explanation.

    Args:
        explained: Explanations of the text, each with what stands above.
    """
    parts, height = [], 0
    for caption, each in explained:
        drawn, lines = _draw_words(each)
        parts.append(
            f'<g transform="translate(0 {height})"><text x="{_MARGIN}" y="{_MARGIN + 10}" font-weight="bold" '
            f'fill="#1d2025">{escape(make_printable(caption))}</text>{_draw_legend(each.label)}{drawn}</g>'
        )
        height += 2 * _MARGIN + (lines + 3) * _LINE
    width = round(2 * _MARGIN + _COLUMNS * _CELL)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{_SIZE}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _draw_words(found: Explanation) -> tuple[str, int]:
    """Draw the words of a text in lines, and count the lines."""
    marks: list[str] = []
    column = row = 0
    for word, (text, shade) in zip(found.words, found.shades, strict=True):
        space, inside = _split_space(make_printable(text.replace("\t", " ")))
        row, column = row + space.count("\n"), 0 if "\n" in space else column
        width = cell_len(inside)
        gap = len(space.rpartition("\n")[2])
        if column and column + gap + width > _COLUMNS:
            row, column, gap = row + 1, 0, 0
        column += gap if column else 0
        x, y = _MARGIN + column * _CELL, _MARGIN + (row + 3) * _LINE
        if abs(shade) >= _FAINTEST:
            red, green, blue = _COLORS[_FOR if shade > 0 else _AGAINST]
            marks.append(
                f'<rect x="{x:.1f}" y="{y - 16}" width="{width * _CELL:.1f}" height="21" rx="3" '
                f'fill="rgb({red},{green},{blue})" fill-opacity="{abs(shade) * _STRONGEST:.2f}"/>'
            )
        ink = "#8a9099" if word.share is None else "#1d2025"
        marks.append(
            f'<text x="{x:.1f}" y="{y}" fill="{ink}" textLength="{width * _CELL:.1f}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(inside)}</text>'
        )
        column += width
    return "".join(marks), row + 1


def _draw_legend(label: str) -> str:
    parts, x = [], float(_MARGIN)
    for words, tone in zip(describe_for(label), (_FOR, _AGAINST), strict=True):
        red, green, blue = _COLORS[tone]
        parts.append(
            f'<rect x="{x:.1f}" y="{_MARGIN + 22}" width="12" height="12" rx="2" fill="rgb({red},{green},{blue})" '
            f'fill-opacity="{_STRONGEST}"/><text x="{x + 18:.1f}" y="{_MARGIN + 33}" font-size="12" '
            f'fill="#5c636e">{escape(make_printable(words))}</text>'
        )
        x += 18 + 7.3 * cell_len(words) + 24
    return "".join(parts)


def _split_space(text: str) -> tuple[str, str]:
    """Split a piece of a text into the space before it and the rest."""
    inside = text.lstrip()
    return text[: len(text) - len(inside)], inside
