"""Classes: their order, which class a label stands for, and labels that are none or look like another one."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ftapp.common.errors import suggest_nearest
from ftapp.common.formatting import escape_unprintable

MISSING = frozenset(
    (
        *("", "nan", "-nan", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "null", "none", "nil", "nat"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#null!", "#value!", "#ref!", "#name?", "#div/0!", "#num!"),
        *("-", "--", "---", "–", "—", "?", "??", "???", ".", "..", "...", "…"),
        *("missing", "undefined", "unlabeled", "unlabelled", "not available"),
    )
)
"""Words for a missing value, in lower case: those of pandas and Excel, and obvious ones."""

_MOST_CLASSES = 20  # of which a mend lists the names, and from which on labels may be ids or measurements
_QUOTES = "\"'`´‘’‚“”„«»‹›"
# Letters of the Cyrillic and Greek alphabets that look like Latin ones.
_ALIKE = str.maketrans("аеорсухіјѕԁһӏвкмнтαοκνρτυχι", "aeopcyxijsdhlbkmhtaokvptuxi")
_WHOLE = re.compile(r"(-?\d{1,18})(?:\.0{1,18})?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:[.,]\d{1,40})?", re.ASCII)

# Words, and the shorter ones that mean the same where both occur. Letters and numbers alone are what they are: written
# characters, for instance, have the classes 0 to 9 and A to Z.
_SYNONYMS = {"yes": ("y", "1"), "no": ("n", "0"), "true": ("t", "1", "yes"), "false": ("f", "0", "no")}

_DATE = re.compile(r"\d{4}([-/.])\d\d?\1\d\d?(?!\d)|\d\d?([-/.])\d\d?\2\d{4}(?!\d)", re.ASCII)


@dataclass(frozen=True)
class Trouble:
    """A problem of some labels.

    Attributes:
        labels: The labels.
        message: What is wrong, and the way to mend it.
    """

    labels: tuple[str, ...]
    message: str


def parse_whole(label: str) -> int | None:
    """Parse a label that is a whole number, such as 3 or 3.0.

    Args:
        label: The label.

    Returns:
        The number; None for other labels.
    """
    match = _WHOLE.fullmatch(label)
    return int(match[1]) if match else None


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort labels, without repetition: as numbers when all are whole numbers, else as text.

    Args:
        labels: The labels.

    Returns:
        The different labels in order.
    """
    found = {label: parse_whole(label) for label in labels}
    numbers = {label: number for label, number in found.items() if number is not None}
    if len(numbers) == len(found):
        return tuple(sorted(found, key=lambda label: (numbers[label], label)))
    return tuple(sorted(found))


def find_positions(labels: Collection[str], classes: Sequence[str], *, merge: bool = False) -> dict[str, int]:
    """Find the class of each label.

    A label is the name of a class. Where no label is and all are whole numbers, these count the classes, from 0 or,
    where the numbers are those from 1 to the number of classes, from 1. So `classes = ["negative", "positive"]` names
    the labels 0 and 1, or 1 and 2.

    Args:
        labels: The labels.
        classes: The names of the classes in their order.
        merge: Whether a label that looks like the name of a class stands for it too.

    Returns:
        Label -> position of its class in `classes`; labels that stand for no class are left out.
    """
    found = {label: position for position, label in enumerate(classes) if label in labels}
    if merge:
        keys = _make_keys((*labels, *classes))
        at = {keys[name]: position for position, name in reversed(list(enumerate(classes)))}
        found |= {label: at[keys[label]] for label in labels if label not in found and keys[label] in at}
    numbers = {label: number for label in labels if (number := parse_whole(label)) is not None}
    if found or not labels or len(numbers) < len(labels):
        return found
    first = min(numbers.values())
    if first == 0 or (first == 1 and max(numbers.values()) == len(classes)):
        return {label: at - first for label, at in numbers.items() if at - first < len(classes)}
    return {}


def merge_labels(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Merge labels that look alike or mean the same into classes.

    Args:
        counts: How often each label occurs.

    Returns:
        The classes in order, each in its most frequent way of writing.
    """
    return sort_labels(max(group, key=lambda label: (counts[label], -len(label), label)) for group in _group(counts))


def describe_numbers(known: Mapping[str, int], classes: Sequence[str]) -> str:
    """Describe how labels that are numbers were read as classes of other names.

    Args:
        known: Label -> position of its class.
        classes: The names of the classes.

    Returns:
        A sentence; "" where no labels are such numbers.
    """
    if not known or any(label in classes or parse_whole(label) is None for label in known):
        return ""
    names = [f"{label} = {classes[at]}" for label, at in sorted(known.items(), key=lambda pair: pair[1])]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"labels are numbers: {', '.join(names[:10])}{more}"


def describe_merges(known: Mapping[str, int], classes: Sequence[str]) -> list[str]:
    """Describe which labels were merged into which class.

    Args:
        known: Label -> position of its class.
        classes: The names of the classes.

    Returns:
        A sentence for each class that labels were merged into.
    """
    written: dict[int, list[str]] = {}
    for label, position in known.items():
        if label != classes[position]:
            written.setdefault(position, []).append(label)
    said = []
    for at, some in sorted(written.items()):
        quote = ascii if any(_find_difference((label, classes[at]))[1] for label in some) else quote_label
        said.append(f"labels merged: {quote_labels(some, quote)} as {quote(classes[at])}")
    return said


def find_troubles(
    counts: Mapping[str, int], named: Sequence[str] | None, *, merge: bool = False, leave_out: str = ""
) -> Iterator[Trouble]:
    """Yield the problems of labels that stand for a missing value, look alike or mean the same.

    Labels that `data.classes` names have no such problems.

    Args:
        counts: How often each label occurs.
        named: The names in `data.classes`, None where there are none.
        merge: Whether labels that look alike are one class.
        leave_out: How examples without a label are left out, such as "to leave these rows out, --set ...".

    Yields:
        The problems.
    """
    allowed = set(named or ())
    kept = [label for label in counts if label.casefold() not in MISSING or label in allowed]
    for label in counts:
        if label not in kept:
            said = (
                f"{quote_label(label)} stands for a missing label, and is no class" if label else "the label is missing"
            )
            keep = f"if it is one, name it: {override_classes([*kept, label])}" if label else ""
            yield Trouble((label,), "; ".join(filter(None, (said, leave_out, keep))))
    if merge:
        return
    for group in _group(kept):
        if len(group) > 1 and not allowed.issuperset(group):
            group.sort(key=lambda label: -counts[label])
            step, escape = _find_difference(group)
            written = [f"{ascii(label) if escape else quote_label(label)} ({counts[label]:,})" for label in group[:4]]
            more = f" and {len(group) - 4} more" if len(group) > 4 else ""
            verb, alike = (f"differ only in {step}", "look alike") if step else ("mean the same", "mean the same")
            yield Trouble(
                tuple(group),
                f"{' and '.join(written)}{more} {verb}; labels that {alike} are one class or named "
                f"apart; to merge them, --set data.merge_labels=true; to keep them apart, {override_classes(kept)}",
            )


def explain_no_classes(counts: Mapping[str, int]) -> str:
    """Explain why labels seem to be no classes at all: nearly each occurs once, or they are dates or measurements.

    Args:
        counts: How often each label occurs.

    Returns:
        The reason with a rule; "" where the labels may be classes.
    """
    total = sum(counts.values())
    if len(counts) <= _MOST_CLASSES:
        return ""
    examples = ", ".join(quote_label(label) for label in list(counts)[:3])
    subject = f"{len(counts):,} different labels in {total:,} examples ({examples}, …)"
    numbers = [_parse_number(label) for label in counts]
    if all(map(_DATE.match, counts)):
        return f"{subject} look like dates; classes are names or whole numbers"
    if None not in numbers and any(number is not None and number % 1 for number in numbers):
        rule = "classes are names or whole numbers; the tasks text-regression and image-regression learn numbers"
        return f"{subject} look like measurements; {rule}"
    if 2 * len(counts) > total:
        kind = "numbers" if None not in numbers else "ids or texts"
        return f"{subject} look like {kind}, nearly each its own; a class has several examples"
    return ""


def explain_missing_class(name: str, classes: Sequence[str]) -> str:
    """Write the message about a class of a source that `data.classes` leaves out.

    Args:
        name: The name of the class.
        classes: The names in `data.classes`.

    Returns:
        The message.
    """
    return f"'{name}', a class of the source, is missing; data.classes names each of them; " + suggest_nearest(
        name, classes
    )


def override_classes(labels: Iterable[str], *, ordered: bool = False) -> str:
    """Write the override that names some labels as the classes.

    Args:
        labels: The labels.
        ordered: Whether they are in the order of the classes; otherwise they are sorted.

    Returns:
        The override; an instruction where it would be very long.
    """
    names = tuple(labels) if ordered else sort_labels(labels)
    if len(names) > _MOST_CLASSES:
        return f"name all {len(names)} in data.classes"
    return override("data.classes", f"[{', '.join(map(_write_toml, names))}]")


def _write_toml(text: str) -> str:
    """Write a string of TOML, with escapes for characters that cannot be seen or typed."""
    return "".join(
        json.dumps(char, ensure_ascii=False)[1:-1]
        if char.isprintable() and not unicodedata.combining(char)
        else f"\\U{ord(char):08x}"
        for char in f"\0{text}\0"
    ).replace("\\U00000000", '"')


def override(key: str, value: str) -> str:
    """Write a `--set` as it is typed in a shell.

    Args:
        key: The dotted key.
        value: The value as TOML.

    Returns:
        The words, in quotes where a shell would read signs in them.
    """
    return f"--set {shlex.quote(f'{key}={value}')}"


def quote_label(label: str) -> str:
    """Write a label in quotes, with escapes for characters that cannot be seen; of a long label the beginning."""
    text = escape_unprintable(label)
    return f"'{text[:40]}…'" if len(text) > 41 else f"'{text}'"


def quote_labels(names: Sequence[str], quote: Callable[[str], str] = quote_label) -> str:
    """Write the first twelve names in quotes, and how many more there are."""
    more = f" and {len(names) - 12:,} more" if len(names) > 12 else ""
    return ", ".join(map(quote, names[:12])) + more


def _drop_invisible(label: str) -> str:
    """Drop characters that show nothing: zero-width and control characters, selectors of a form."""
    return "".join(char for char in label if unicodedata.category(char) not in ("Cf", "Cc") and char != "\ufe0f")


def _normalize_number(label: str) -> str:
    number = _parse_number(label)
    return label if number is None else str(number.normalize())


def _parse_number(label: str) -> Decimal | None:
    text = unicodedata.normalize("NFKC", label).strip()
    return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


# What two labels may differ in and still look alike: its name, what takes it away, and whether only escapes show it.
_STEPS: tuple[tuple[str, Callable[[str], str], bool], ...] = (
    ("the way of writing a number", _normalize_number, False),
    ("letter case", str.casefold, False),
    ("characters that cannot be seen", _drop_invisible, True),
    ("the Unicode form of their letters", lambda label: unicodedata.normalize("NFKC", label).casefold(), True),
    ("spaces", lambda label: " ".join(label.split()), True),
    ("quotes", lambda label: label.strip(_QUOTES + " "), False),
    ("dashes and underscores", lambda label: re.sub(r"(?<=\w)[\s_‐-―-]+(?=\w)", " ", label), False),
    ("letters of another alphabet", lambda label: label.translate(_ALIKE), True),
    ("the way of writing a number", _normalize_number, False),
)


def _group(labels: Iterable[str]) -> list[list[str]]:
    """Group labels that look alike or mean the same."""
    groups: dict[str, list[str]] = {}
    for label, key in _make_keys(labels).items():
        groups.setdefault(key, []).append(label)
    return list(groups.values())


def _make_keys(labels: Iterable[str]) -> dict[str, str]:
    """Make a key for each label, which labels that look alike or, among these labels, mean the same share."""
    found = {label: _make_key(label) for label in labels}
    words = set(found.values()) & _SYNONYMS.keys()
    for word in sorted(words, key=list(_SYNONYMS).index):  # "true" after "yes", which it may take in
        found = {label: word if key in _SYNONYMS[word] else key for label, key in found.items()}
    return found


def _make_key(label: str) -> str:
    """Make a key that labels which look alike share."""
    for _, change, _ in _STEPS:
        label = change(label)
    return label


def _find_difference(labels: Sequence[str]) -> tuple[str, bool]:
    """Find what labels of one group differ in, "" where they only mean the same, and whether only escapes show it."""
    at = list(labels)
    for name, change, escape in _STEPS:
        at = [change(label) for label in at]
        if len(set(at)) == 1:
            return name, escape
    return "", False
