"""Ranking of list entries for a search, by name first, then by description."""

from __future__ import annotations

import re

_EXACT, _PREFIX, _WORDS, _INSIDE, _ELSEWHERE = range(5)
_WORD = re.compile(r"[^\W_]+")


def rank(query: str, name: str, about: str = "") -> int | None:
    """Rank an entry for a search. Case is ignored; spaces, hyphens and underscores are alike.

    Args:
        query: What the user typed.
        name: The name of the entry.
        about: A description of the entry.

    Returns:
        0 for the name itself, then in this order: its beginning, beginnings of its words, parts of it, the
        description. None where a word of the query is in neither.
    """
    wanted, name, about = query.casefold().split(), name.casefold(), about.casefold()
    words = _WORD.findall(name)
    whole = "-".join(words)

    def is_in_name(word: str) -> bool:
        return word in name or (bool(joined := "-".join(_WORD.findall(word))) and joined in whole)

    if not all(is_in_name(word) or word in about for word in wanted):
        return None
    parts = [part for word in wanted for part in _WORD.findall(word)]
    joined = "-".join(parts)
    if joined == whole:
        return _EXACT
    if whole.startswith(joined):
        return _PREFIX
    if all(any(word.startswith(part) for word in words) for part in parts):
        return _WORDS
    return _INSIDE if all(map(is_in_name, wanted)) else _ELSEWHERE
