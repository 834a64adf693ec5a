"""The test examples with the highest loss, on the page of a run: pictures with captions, and texts in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape

from ftapp.analysis.records import Record
from ftapp.common.formatting import format_number
from ftapp.report import page
from ftapp.report.explanations import CAUTION, build_shaded, embed_image
from ftapp.runs.example_results import ExampleResult, ExampleResults, read_example_results
from ftapp.runs.explanations import Explanation, read_explanations

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
    explained = read_explanations(one.run, one.history.result)
    pictured = [each for each in results.found if each.picture]
    shaded = [each for each in results.found if each.text and each.example in explained]
    show = partial(_show_picture, results=results, explained=explained)
    kind = "pictures pairs" if explained else "pictures"
    others = [each for each in results.found if not each.picture and each not in shaded]
    return [
        page.build_heading("Test examples with the highest loss"),
        f'<p class="soft">{escape(said)}. ftapp errors lists all of them.</p>',
        *([f'<p class="soft">{escape(_describe_method(explained))}</p>'] if explained else []),
        *([page.build_grid(map(show, pictured), kind)] if pictured else []),
        *(build_shaded(", ".join(_describe(each, results)), explained[each.example]) for each in shaded),
        *([_tabulate(others, results)] if others else []),
    ]


def _describe_method(explained: Mapping[str, Explanation]) -> str:
    method = next(iter(explained.values())).method
    return f"The evidence for the answers is found by {method}. {CAUTION}"


def _show_picture(each: ExampleResult, results: ExampleResults, explained: Mapping[str, Explanation]) -> str:
    images = [each.picture]
    if each.example in explained:
        found = explained[each.example]
        images = [found.picture, found.overlay]
    row = "".join(embed_image(content, each.example) for content in images)
    return page.build_picture(f'<div class="row">{row}</div>', [line for line in _describe(each, results) if line])


def _describe(each: ExampleResult, results: ExampleResults) -> list[str]:
    return [each.describe_answer(results.scores), f"loss {format_number(each.loss)}", each.example]


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
