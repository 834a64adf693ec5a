"""Sentences about two arms that claim no more than an interval allows."""

from __future__ import annotations

from ftapp.analysis.statistics import Interval


def describe_difference(a: str, b: str, what: str, found: Interval, *, digits: int = 3, percent: bool = False) -> str:
    """Say in one sentence what is known of B against A.

    Args:
        a: the name of arm A.
        b: the name of arm B.
        what: the quantity that is compared, such as 'training loss'.
        found: B - A.
        digits: significant digits of the numbers.
        percent: whether the quantity is a share. The sentence then speaks of points.
    """

    def number(value: float) -> str:
        text = f"{100 * value:.1f}" if percent else f"{value:.{digits}g}"
        return text.removeprefix("-") if float(text) == 0 else text

    unit = " points" if percent else ""
    lower = found.high < 0  # then told as how much lower it is
    low, high = (-found.high, -found.low) if lower else (found.low, found.high)
    bounds = f"95% interval {number(low)} to {number(high)}{unit}"
    if found.low == found.high == 0:
        return f"{b} and {a} have the same {what} to the last digit{_scope(found)}."
    if found.contains(0):
        return f"Which of {b} and {a} has the lower {what} cannot be told{_scope(found)}: {bounds}, with zero inside."
    way = "lower" if lower else "higher"
    return f"{b} has a {way} {what} than {a}, by {number(abs(found.estimate))}{unit}{_scope(found)} ({bounds})."


def describe_time_saved(a: str, b: str, found: Interval) -> str:
    """Say in one sentence which share of A's training time B saves. found: r = (T_A - T_B) / T_A."""
    longer = found.high < 0  # then told as how much more it takes
    low, high = (-found.high, -found.low) if longer else (found.low, found.high)
    bounds = f"95% interval {low:.0%} to {high:.0%}"
    if not found.of_seeds and not found.of_folds:
        bounds += ", without the variation between runs on this machine"
    if found.contains(0):
        return (
            f"Whether {b} takes less time than {a} cannot be told{_scope(found)}: r = {found.estimate:.0%}, {bounds}."
        )
    if longer:
        return f"{b} takes {-found.estimate:.0%} more training time than {a}{_scope(found)} ({bounds})."
    return f"{b} saves {found.estimate:.0%} of the training time of {a}{_scope(found)} ({bounds})."


def describe_variance(a: str, b: str, found: Interval) -> str:
    """Say in one sentence which arm's loss is steadier at the beginning. found: variance of B over that of A."""
    bounds = f"variance ratio {found.estimate:.2f}, 95% interval {found.low:.2f} to {found.high:.2f}"
    if found.contains(1):
        return f"Whether {b} or {a} is steadier at the beginning cannot be told{_scope(found)}: {bounds}."
    return (
        f"{b} is {'steadier' if found.high < 1 else 'less steady'} than {a} at the beginning{_scope(found)} ({bounds})."
    )


def _scope(found: Interval) -> str:
    """Of what an interval speaks, in words."""
    if found.of_seeds or found.of_folds:
        return f", over {found.repeats} {'folds' if found.of_folds else 'seeds'}"
    return " in this pair of runs" if found.repeats == 1 else f" in these {found.repeats} pairs of runs"
