"""The test examples with the highest loss, on the page of a run: pictures with captions, and texts in a table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from ftapp.analysis.records import Record
from ftapp.common.formatting import format_number
from ftapp.report import page
from ftapp.runs.example_results import ExampleResult, ExampleResults, read_example_results

MOST = 20
"""Examples on a page, by default."""

_TEXT = 100  # characters


def show_examples(one: Record, most: int) -> list[str]:
    """Show the test examples of a run with the highest loss.

    Args:
        one: The run.
        most: How many examples are shown at most.

    Returns:
        A section of the page; nothing for a run that has kept none, and if `most` is 0.
    """
    results = read_example_results(one.run, one.history.result, most) if most else None
    if results is None or not results.found:
        return []
    said = (
        f"The {len(results.found)} of {results.examples:,} examples of the {results.split} split with the highest loss"
    )
    pictured = [each for each in results.found if each.picture]
    others = [each for each in results.found if not each.picture]
    return [
        page.build_heading("Test examples with the highest loss"),
        f'<p class="soft">{escape(said)}. ftapp errors lists all of them.</p>',
        *([page.build_grid([_show_picture(each, results) for each in pictured], "pictures")] if pictured else []),
        *([_tabulate(others, results)] if others else []),
    ]


def _show_picture(each: ExampleResult, results: ExampleResults) -> str:
    content = base64.b64encode(each.picture).decode()
    image = f'<img alt="{escape(each.example, quote=True)}" src="data:image/webp;base64,{content}">'
    lines = [each.describe_answer(results.scores), f"loss {format_number(each.loss)}", each.example]
    return page.build_picture(image, [line for line in lines if line])


def _tabulate(found: Sequence[ExampleResult], results: ExampleResults) -> str:
    header = {"loss": 0, "answer": 1, "example": 2, "text": 3, "completion": 4}
    rows = [
        [
            format_number(each.loss),
            each.describe_answer(results.scores),
            each.example,
            _shorten(each.text),
            "" if each.answer else _shorten(each.truth),
        ]
        for each in found
    ]
    there = [place for place in header.values() if any(row[place] for row in rows)]
    return page.stack(
        [name for name, place in header.items() if place in there], [[row[place] for place in there] for row in rows]
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
