"""Filters of runs: words, and conditions on what is known of a run, such as `model~bert accuracy>0.9 -tag=bad`.

A word is found anywhere in the texts of a run. A condition is a name, a sign and a value:

name=value, name!=value     a text or a number that is, or is not, the value
name~pattern, name!~pattern a text in which a regular expression is found, or is not
name>value, >=, <, <=       a number; 90% is 0.9
~pattern                    any text in which a regular expression is found

A minus before a word or a condition turns it round. Quotation marks keep spaces: note="two words". Case is ignored.

Some patterns, such as (a|a)+$, take hours on a short text. A pattern that takes long is refused.
"""

from __future__ import annotations

import functools
import operator
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ftapp.common.errors import RunError, suggest_nearest
from ftapp.recipe.metrics import KNOWN
from ftapp.runs.exit_codes import EXIT_CODES
from ftapp.runs.run_folder import GOING_ON

Value = str | float | tuple[str, ...] | None
Facts = Mapping[str, Value]
"""What is known of a run, by the names of `TEXTS` and `NUMBERS` and of its metrics."""

TEXTS = ("run", "recipe", "profile", "status", "task", "model", "data", "tag", "note", "owner", "experiment", "arm")
NUMBERS = ("steps", "seconds", "share", "repeat", "fold", "loss")

_STATUSES = (*GOING_ON, *EXIT_CODES, "damaged")
_TERM = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_CONDITION = re.compile(r"(?P<name>[A-Za-z][\w-]*)?(?P<sign>!~|~|>=|<=|!=|>|<|=)(?P<value>.*)", re.DOTALL)
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
_JOINTS = re.compile(r"[\s_-]+")
# Seconds of this thread, not of those it waits for: of one search that is slow, and of all slow ones of a pattern.
_SLOW, _PATIENCE = 0.001, 0.5


class FilterError(RunError):
    """A filter that cannot be understood."""


@dataclass(frozen=True)
class RunFilter:
    """A filter that was understood.

    Attributes:
        words: The words alone, as they were typed.
        tests: Tests that all hold for a run that is kept.
    """

    words: str
    tests: tuple[Callable[[Facts], bool], ...]

    def keeps(self, facts: Facts) -> bool:
        """Tell whether a run is kept.

        Raises:
            FilterError: A pattern takes too long.
        """
        return all(test(facts) for test in self.tests)


def parse_filter(text: str, metrics: Iterable[str] = ()) -> RunFilter:
    """Parse a filter.

    Args:
        text: What the user typed; an empty filter keeps all runs.
        metrics: The names of metrics that runs have, beside those that are known anyway.

    Returns:
        The filter.

    Raises:
        FilterError: A condition has an unknown name, no value, a wrong value, or a sign that does not go with it.
    """
    if text.count('"') % 2:
        raise FilterError(f"a quotation mark is open in '{text.strip()}'; each needs another one behind it")
    numbers = {*NUMBERS, *KNOWN, *metrics}
    words: list[str] = []
    tests: list[Callable[[Facts], bool]] = []
    for term in _TERM.findall(text):
        is_turned = term.startswith("-") and len(term) > 1
        bare = term[1:] if is_turned else term
        found = _CONDITION.fullmatch(bare)
        if found:
            test = _make_test(bare, found["name"] or "", found["sign"], found["value"].replace('"', ""), numbers)
        else:
            word = bare.replace('"', "")
            test = _make_word_test(word)
            words += [] if is_turned else [word]
        tests.append(_turn(test) if is_turned else test)
    return RunFilter(" ".join(words), tuple(tests))


def _turn(test: Callable[[Facts], bool]) -> Callable[[Facts], bool]:
    return lambda facts: not test(facts)


def _make_word_test(word: str) -> Callable[[Facts], bool]:
    """Make the test of a word. Spaces, hyphens and underscores are alike."""
    wanted = word.casefold()
    joined = _JOINTS.sub("-", wanted)

    def test(facts: Facts) -> bool:
        return any(wanted in text or joined in _JOINTS.sub("-", text) for text in map(str.casefold, list_texts(facts)))

    return test


def _make_test(term: str, name: str, sign: str, value: str, numbers: set[str]) -> Callable[[Facts], bool]:
    if name and name not in TEXTS and name not in numbers:
        nearest = suggest_nearest(name, [*TEXTS, *sorted(numbers)])
        raise FilterError(f"'{term}': runs have no '{name}'; {nearest}")
    if not value:
        raise FilterError(f"'{term}' has no value behind {sign}; such as {_give_example(name, sign)}")
    is_number = name in numbers
    if sign in ("~", "!~"):
        if is_number:
            raise FilterError(f"'{term}': {name} is a number; compare it by > >= < <= = or !=")
        test = _make_pattern_test(term, name, value)
        return _turn(test) if sign == "!~" else test
    if is_number:
        return _make_number_test(name, _ORDERS[sign], _parse_number(term, value))
    if not name or sign not in ("=", "!="):
        what = f"{name} is a text" if name else "a name is missing"
        raise FilterError(f"'{term}': {what}; {name or 'model'}~PATTERN and {name or 'model'}=TEXT test a text")
    wanted = value.casefold()
    if name == "status" and wanted not in _STATUSES:
        raise FilterError(f"'{term}': no run has the status '{value}'; {suggest_nearest(wanted, _STATUSES)}")

    def equals(facts: Facts) -> bool:
        return any(text.casefold() == wanted for text in list_texts(facts, name))

    return _turn(equals) if sign == "!=" else equals


@functools.lru_cache(maxsize=8)  # so that a list that is drawn again does not wait again
def _make_pattern_test(term: str, name: str, pattern: str) -> Callable[[Facts], bool]:
    import regex  # here, since few filters have patterns; `re` cannot be interrupted

    try:
        compiled = regex.compile(pattern, regex.IGNORECASE)
    except regex.error as error:
        raise FilterError(f"'{term}': '{pattern}' is not a regular expression: {error}") from error
    except RecursionError:
        raise FilterError(f"'{term}' has too many parts within each other; use a simpler pattern") from None
    left = _PATIENCE

    @functools.cache
    def is_found(text: str) -> bool:
        nonlocal left
        begun = time.thread_time()
        try:
            if left > 0:
                return compiled.search(text, timeout=left) is not None
        except TimeoutError:
            left = 0.0
        finally:
            if (taken := time.thread_time() - begun) > _SLOW:
                left -= taken
        raise FilterError(
            f"'{term}' takes too long to search; a pattern is slow where parts that repeat can match the same text in "
            "many ways; use a simpler one, such as a word"
        )

    return lambda facts: any(map(is_found, list_texts(facts, name)))


def _make_number_test(name: str, order: Callable[[float, float], bool], wanted: float) -> Callable[[Facts], bool]:
    """Make the test of a number. A run without it is not kept."""

    def test(facts: Facts) -> bool:
        value = facts.get(name)
        return isinstance(value, int | float) and order(value, wanted)

    return test


def _parse_number(term: str, value: str) -> float:
    try:
        return float(value[:-1]) / 100 if value.endswith("%") else float(value)
    except ValueError:
        raise FilterError(f"'{term}': '{value}' is not a number, such as 0.9 or 90%") from None


def list_texts(facts: Facts, name: str = "") -> list[str]:
    """List the texts of a fact, or of all facts without a name."""
    values = [facts.get(name)] if name else [facts.get(each) for each in TEXTS]
    texts: list[str] = []
    for value in values:
        if isinstance(value, tuple):
            texts += value
        elif isinstance(value, str):
            texts.append(value)
    return texts


def _give_example(name: str, sign: str) -> str:
    example = {"~": "bert|gpt2", "!~": "bert|gpt2"}.get(sign, "night" if name in TEXTS else "0.9")
    return f"{name}{sign}{example}"
