"""How well an entry of a list fits what somebody searches for: by its name first, then by what is said about it."""

from __future__ import annotations

import re

_EXACT, _PREFIX, _WORDS, _INSIDE, _ELSEWHERE = range(5)
_WORD = re.compile(r"[^\W_]+")


def rank(query: str, name: str, about: str = "") -> int | None:
    """0 for the best fit; None where a word of the query is neither in the name nor in what is said about it.

    From the best: the name itself, its beginning, beginnings of words in the name, parts of the name, and only then
    what is said about the entry. Upper and lower case are alike, and so are spaces, hyphens and underscores.
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
