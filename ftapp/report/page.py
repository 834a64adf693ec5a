"""The HTML page of a report, and the pieces that it is made of. It loads nothing: styles and plots are inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ftapp.common.formatting import make_printable

# It runs and loads nothing, also where a text in it should pass for HTML.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")


def build_page(title: str, body: Iterable[str]) -> str:
    """A whole HTML document, without control characters. title: plain text; body: HTML."""
    return make_printable(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def build_heading(text: str) -> str:
    """The title of a section. text: plain."""
    return f"<h2>{escape(text)}</h2>"


def lay_out_figures(values: Sequence[tuple[str, str, str]]) -> str:
    """Key figures: (what, value, what to add in small print or '')."""
    cells = [
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}{f'<small>{escape(note)}</small>' if note else ''}</dd></div>"
        for what, value, note in values
    ]
    return f'<dl class="figures">{"".join(cells)}</dl>'


def build_figure(title: str, plot: str, caption: str = "", legend: Sequence[tuple[str, int]] = ()) -> str:
    """A plot with its title. plot: HTML; legend: names of series with their tones."""
    keys = "".join(f'<span><i class="tone-{tone}"></i>{escape(name)}</span>' for name, tone in legend)
    return (
        f"<figure><h3>{escape(title)}</h3>"
        + (f'<div class="legend">{keys}</div>' if keys else "")
        + plot
        + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "")
        + "</figure>"
    )


def embed_picture(plot: str, legend: Sequence[tuple[str, int]]) -> str:
    """A plot of `ftapp.report.svg` as a file of its own, with its legend below, in the colours of a light page.

    Many programs that show SVG know no CSS variables, so their values are put in.
    """
    colours = dict(re.findall(r"(--[\w-]+): (#\w+)", _STYLE.partition("@media")[0]))
    style = " ".join(re.findall(r"\.plot[^{}]*\{[^}]*\}", _STYLE))
    style = re.sub(r"var\((--[\w-]+)\)", lambda found: colours[found[1]], style)
    width, height, described = 420, 30, 'role="img"'
    if found := re.fullmatch(r'<svg class="plot" viewBox="0 0 (\d+) (\d+)" (.*?)>(.*)</svg>', plot, re.DOTALL):
        width, height, described, inside = int(found[1]), int(found[2]), found[3], found[4]
    else:  # a paragraph, which says that there is nothing to draw
        inside = f'<text x="12" y="20">{re.sub("<[^>]*>", "", plot)}</text>'
    x, below, keys = 12, height, []
    for name, tone in legend:
        if x > 12 and x + 14 + 7 * len(name) > width:
            x, below = 12, below + 14
        keys.append(f'<rect class="bar tone-{tone}" x="{x}" y="{below + 5}" width="9" height="9"/>')
        keys.append(f'<text x="{x + 14}" y="{below + 14}">{escape(name)}</text>')
        x += 32 + 7 * len(name)
    whole = below + 24
    return make_printable(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{2 * width}" height="{2 * whole}" '
        f'viewBox="0 0 {width} {whole}" {described}><style>{style} .plot {{ height: 100% }}</style>'
        f'<rect width="{width}" height="{whole}" fill="{colours["--card"]}"/>{inside}{"".join(keys)}</svg>\n'
    )


def build_quotes(title: str, texts: Sequence[tuple[str, str]]) -> str:
    """Texts below each other under one title: (whose or when, text)."""
    content = "".join(
        f'<p class="soft">{escape(whose)}</p><blockquote>{escape(text.strip())}</blockquote>' for whose, text in texts
    )
    return f"<figure><h3>{escape(title)}</h3>{content}</figure>"


def build_grid(parts: Iterable[str], kind: str = "grid") -> str:
    """Figures beside each other where there is room. kind: their class, grid or, for small ones, pictures."""
    return f'<div class="{kind}">{"".join(parts)}</div>'


def build_picture(image: str, lines: Iterable[str]) -> str:
    """A small picture with lines of plain text below it. image: HTML."""
    return f"<figure>{image}{''.join(f'<figcaption>{escape(line)}</figcaption>' for line in lines)}</figure>"


def build_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts, the first of each row being its name."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(value)}</td>' for value in row[1:])}</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def stack(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts whose rows become blocks of named lines where the page is narrow."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-name="{escape(name, quote=True)}">{escape(value)}</td>'
            for name, value in zip(header, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="stacked"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def build_pairs(values: Mapping[str, object]) -> str:
    """Names with their values, as a table of two columns."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in values.items()
        if value not in (None, "")
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'


def build_code(text: str, *, wrap: bool = False) -> str:
    """Text as it is, such as a command or a file."""
    return f"<pre{' class=wrap' if wrap else ''}>{escape(text)}</pre>"


def build_details(title: str, inside: str) -> str:
    """HTML that opens when asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def build_list(kind: str, texts: Iterable[str]) -> str:
    """A list of sentences. kind: its class on the page."""
    return f'<ul class="{kind}">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'
