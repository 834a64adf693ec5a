"""Times, sizes and numbers as people say them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime


def format_duration(seconds: float) -> str:
    """A length of time, in two units at most: 40 ms, 0.4 s, 48 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name} {rest} {part_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def format_moment(moment: float, now: float) -> str:
    """A moment in local time, seen from `now`, both in seconds since the Unix epoch.

    For example 3 min ago, today 14:05, yesterday 09:30, Mon 14:05, 3 May 14:05, 2025-05-03.
    """
    if 0 <= now - moment < 60:
        return "just now"
    if 0 <= now - moment < 3600:
        return f"{int((now - moment) // 60)} min ago"
    try:
        then, today = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"
    days = (today.date() - then.date()).days
    clock = f"{then:%H:%M}"
    if days in (0, 1):
        return f"{('today', 'yesterday')[days]} {clock}"
    if 0 < days < 7:
        return f"{then:%a} {clock}"
    return f"{then.day} {then:%b} {clock}" if then.year == today.year else f"{then:%Y-%m-%d}"


def format_share(value: float) -> str:
    """A share in percent, such as 31.9%, 0.032%, 99.98%, 100%.

    It has digits enough to tell a small share from none and a large one from all.
    """
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f}%"
    if percent < 0.01:
        return "<0.01%"
    if percent > 99.99:
        return ">99.99%"
    if percent > 99.9:
        return f"{percent:.2f}%"
    return f"{percent:.3f}%" if percent < 0.1 else f"{percent:.2f}%" if percent < 1 else f"{percent:.1f}%"


def format_size(count: float) -> str:
    """A number of bytes: 512 B, 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_number(value: float) -> str:
    """A loss or a rate in at most seven signs: 0.693, 12.3, 1234, 1.2e-05, nan."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def format_count(value: int) -> str:
    """A number of parameters: 512, 22.7 M, 1.5 B."""
    return _scale(value, ("", " k", " M", " B"))


_NO_LABEL = "no label"
_CLASSES = 12  # named with their counts; of more, the fewest and the most


def format_class_counts(classes: Sequence[str], counts: Mapping[str, Sequence[int]]) -> str:
    """How many examples each class has in all splits together: neg 114, pos 114, nan 12.

    Of many classes, how many there are and which are the smallest and the largest; "" without classes.

    Args:
        classes: Names of the classes.
        counts: Examples of each class, in the order of `classes`, by the name of the split. Without them, the names
            alone are given.
    """
    names = [shorten_name(name) for name in classes]
    totals = [sum(each) for each in zip(*counts.values(), strict=True)]
    if len(totals) != len(names):
        return ", ".join(names) if len(names) <= _CLASSES else f"{len(names)}, such as {', '.join(names[:3])}"
    if len(names) <= _CLASSES:
        return ", ".join(f"{name} {count:,}" for name, count in zip(names, totals, strict=True))
    few, most = min(totals), max(totals)
    if few == most:
        return f"{len(names)} of {few:,} each, such as {', '.join(names[:3])}"
    smallest, largest = names[totals.index(few)], names[totals.index(most)]
    return f"{len(names)}, {few:,} to {most:,} examples each; smallest {smallest} {few:,}, largest {largest} {most:,}"


def format_quantity(number: float, noun: str) -> str:
    """A number of things: 1 file, 1,200 files, 2.5 epochs. noun: in the singular, of a regular plural."""
    written = f"{round(number):,}" if number == round(number) else f"{number:.3g}"
    return f"{written} {noun}{'' if written == '1' else 's'}"


def format_ordinal(number: int) -> str:
    """A place in an order: 1st, 2nd, 3rd, 11th."""
    last = number % 10 if number % 100 // 10 != 1 else 0
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(last, 'th')}"


def join_names(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are: a, b, c and 4 more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def join_labels(names: Sequence[str]) -> str:
    """The labels of an example: a, b. Names with a comma are in quotes; "no label" stands for none."""
    return ", ".join(f"'{name}'" if "," in name or name == _NO_LABEL else name for name in names) or _NO_LABEL


def shorten_name(name: str, longest: int = 40) -> str:
    """A name in one line for a list of names: printable, cut where it is long, in quotes where it would mislead."""
    shown = make_printable(name).replace("\n", "\u240a").replace("\t", "\u2409")
    if len(shown) > longest:
        shown = f"{shown[: longest - 1]}…"
    return f"'{shown}'" if shown != shown.strip() or not shown or "," in shown or shown[-1].isdigit() else shown


def describe_proof(frozen: int, changed: int, moved: int, trained: int) -> str:
    """The result of a freeze proof in words.

    For example: all 26 frozen weights are bitwise unchanged, all 14 trained weights changed.
    """
    kept = f"{changed} of {frozen} frozen weights changed"
    if not changed:
        kept = f"all {frozen} frozen weights are bitwise unchanged" if frozen else "nothing is frozen"
    return f"{kept}, {'all' if moved == trained else f'{moved} of'} {trained} trained weights changed"


def make_printable(text: str) -> str:
    """A text that is safe to show on a terminal. Lines and tabs stay.

    Characters that steer a terminal, change the direction of writing or hide text become visible signs. So do halves
    of characters, which no file can hold.
    """
    return _STEERING.sub(_choose_sign, text)


def escape_unprintable(text: str) -> str:
    r"""A text such as a file's name, in one line. Joiners of letters and of emoji stay.

    Bytes that are not UTF-8, line ends and other control characters become escapes such as \xe9.
    """
    return "".join(char if char.isprintable() or char in "\u200c\u200d" else _escape(char) for char in text)


def _escape(char: str) -> str:
    """An escape; a surrogate that stands for a byte in a file's name becomes that byte's."""
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else ascii(char)[1:-1]


def make_one_line(text: str) -> str:
    """The same in one line, with single spaces."""
    return make_printable(" ".join(text.split()))


# Control characters of both sets, marks and overrides of direction, invisible signs, tags, and lone surrogates. Joiners
# of letters and of emoji stay.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _choose_sign(found: re.Match[str]) -> str:
    char = found[0]
    if ord(char) < 0x20:
        return chr(0x2400 + ord(char))
    return " " if char.isspace() else "\ufffd"


def format_flops(count: float) -> str:
    """Floating-point operations, in three digits."""
    return _scale(count, (" ", " k", " M", " G", " T")) + "FLOPs"


def _scale(count: float, units: Sequence[str]) -> str:
    """A number in three digits, or more of the last unit; each unit is a thousand times the one before."""
    for unit in units:
        if count < 999.5 or unit == units[-1]:
            break
        count /= 1000
    return f"{count:.3g}{unit}" if count < 999.5 else f"{count:,.0f}{unit}"
