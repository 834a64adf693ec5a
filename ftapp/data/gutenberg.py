"""`gutenberg:NUMBER`: a book of Project Gutenberg, fetched once and kept in the cache."""

from __future__ import annotations

import os
import re

from ftapp.common import downloads
from ftapp.common.downloads import Progress
from ftapp.common.errors import NotFoundError, Problem, RecipeError
from ftapp.data import text_file
from ftapp.data.examples import DataProblems, Texts
from ftapp.data.texts import normalise
from ftapp.recipe import Data
from ftapp.recipe.sources import Source

_START = re.compile(r"^\*\*\*\s*START OF .*?\*\*\*[^\S\n]*\n", re.MULTILINE | re.DOTALL)
_END = re.compile(r"^\*\*\*\s*END OF ", re.MULTILINE)


def read(spec: Data, source: Source, task: str, progress: Progress | None = None) -> Texts:
    """Read the book as one text. FTAPP_GUTENBERG names another server, a mirror with the same paths.

    Args:
        spec: The recipe's [data].
        source: Its source, parsed.
        task: The name of the task.
        progress: Called with the download.

    Returns:
        The book.

    Raises:
        RecipeError: There is no text under the number.
        RunError: The book cannot be fetched.
    """
    server = os.environ.get("FTAPP_GUTENBERG") or "https://www.gutenberg.org"
    number = source.name
    try:
        path = downloads.fetch_url(
            f"{server.rstrip('/')}/cache/epub/{number}/pg{number}.txt", _name_file(source), progress
        )
    except NotFoundError as error:
        raise RecipeError([Problem("", "data.source", f"there is no text of book {number}: {error}")]) from error
    findings, notes = DataProblems(), list[str]()
    text = remove_frame(normalise(text_file.read(path, findings, notes)))
    if not text and not findings.found:
        findings.add(path, f"book {number} is empty; a book has words")
    findings.check()
    return Texts([text], notes=tuple(notes))


def is_cached(source: Source) -> bool:
    """Tell whether the cache has a book."""
    return downloads.is_url_cached(_name_file(source))


def _name_file(source: Source) -> str:
    return f"pg{source.name}.txt"


def remove_frame(text: str) -> str:
    """Remove the licence before and behind a book.

    Args:
        text: The file's text.

    Returns:
        The book; all of the text where no marks of Project Gutenberg part it from a licence.
    """
    start, end = _START.search(text), None
    begin = start.end() if start else 0
    end = _END.search(text, begin)
    return text[begin : end.start() if end else len(text)].strip()
