"""Learning rates that the curve of a range test suggests, by several rules."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

FEWEST = 20
"""Steps that a range test has at least: below, noise is all that there is to see."""

_SMOOTHED = 20  # of the steps, the moving average is of about the last part in so many
_DIVERGED = 4.0  # times the lowest loss
_SETTLING = 10  # of the steps, the first part in so many tells the loss at the start
_REACH = 25  # a slope is taken over so small a part of the steps to either side
_SURE = 3.0  # standard errors by which the loss has to fall, and
_FALL = 0.02  # the share of the loss at the start
_APART = 30.0  # a ratio of rates from which rules disagree widely; one of ten is common, by what they are


@dataclass
class LossCurve:
    """The losses of a range test as they come, and their smoothed course.

    steps: how many are planned; rates, losses: of the steps so far, each loss from before its step's update.
    smoothed, centers: the exponential moving average of the losses, its bias corrected (Kingma & Ba 2015, section 3),
    and that of the rates' logarithms with the same weights, as a rate: so each smoothed loss stands where the steps
    lie that it is made of, and the curve does not lag.
    ended: why the test ended, None while it goes on.
    """

    steps: int
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    centers: list[float] = field(default_factory=list)
    ended: Literal["steps", "diverged", "not finite"] | None = None
    _loss: float = 0.0
    _rate: float = 0.0

    def add(self, rate: float, loss: float) -> bool:
        """Take in a step. Returns whether the test goes on.

        It ends when the loss is not finite, and such a step is no part of the curve; when the smoothed loss is above
        that of the start and four times its lowest; and with the last step.
        """
        if not math.isfinite(loss):
            self.ended = "not finite"
            return False
        self.rates.append(rate)
        self.losses.append(loss)
        beta = self.beta
        self._loss = beta * self._loss + (1 - beta) * loss
        self._rate = beta * self._rate + (1 - beta) * math.log(rate)
        weight = 1 - beta ** len(self.losses)
        self.smoothed.append(self._loss / weight)
        self.centers.append(math.exp(self._rate / weight))
        if len(self.losses) > self.settling and self.smoothed[-1] > max(self.start, _DIVERGED * min(self.smoothed)):
            self.ended = "diverged"
        elif len(self.losses) == self.steps:
            self.ended = "steps"
        return self.ended is None

    @property
    def beta(self) -> float:
        """The weight that the moving average gives to what came before."""
        return 1 - 1 / max(3, self.steps / _SMOOTHED)

    @property
    def settling(self) -> int:
        """How many steps at the beginning tell the loss at the start; their rates are too small to change it."""
        return max(5, self.steps // _SETTLING)

    @property
    def start(self) -> float:
        """The loss at the start: the mean of the first steps."""
        return statistics.fmean(self.losses[: self.settling])

    @property
    def lowest(self) -> int:
        """The step with the lowest smoothed loss, the first steps apart."""
        return min(range(self.settling, len(self.smoothed)), key=self.smoothed.__getitem__)

    @property
    def noise(self) -> float:
        """The standard error of the fall from the start to a smoothed loss, by how losses differ from step to step.

        (von Neumann 1941: differences of neighbours see the noise and hardly the trend.)
        """
        losses = self.losses[: self.lowest + 1]
        squares = statistics.fmean((after - before) ** 2 for before, after in pairwise(losses))
        averaged = (1 - self.beta) / (1 + self.beta) + 1 / self.settling
        return math.sqrt(squares / 2 * averaged)


@dataclass(frozen=True)
class Suggestion:
    """The learning rate that a rule suggests. source: the rule in words, and where it comes from."""

    rule: str
    rate: float
    source: str


@dataclass(frozen=True)
class RateAdvice:
    """What to make of a curve.

    suggestions: of each rule, none where the loss does not fall; rate: the one to take, rounded, or None; sentences:
    why, and what speaks against it.
    """

    suggestions: list[Suggestion]
    rate: float | None
    sentences: list[str]


def advise(curve: LossCurve, own: float) -> RateAdvice:
    """The rules' suggestions for a curve that has ended, and one to take: the middle one. own: the recipe's rate."""
    sentences = _list_unsuited(curve)
    if sentences:
        return RateAdvice([], None, sentences)
    suggestions = [
        Suggestion(
            "steep", _suggest_steepest(curve), "where the smoothed loss falls fastest (Smith 2015; fastai's steep)"
        ),
        Suggestion(
            "minimum", _suggest_minimum(curve), "a tenth of the rate of the lowest smoothed loss (fastai's minimum)"
        ),
        Suggestion("valley", _suggest_valley(curve), "in the middle of the longest fall (ESRapid; fastai's valley)"),
    ]
    low, middle, high = sorted(suggestion.rate for suggestion in suggestions)
    rate = float(f"{middle:.1e}")
    sentences = [f"Use {rate:g}, the median of the suggestions. {_compare_rates(own, rate, low, high)}"]
    if high > _APART * low:
        sentences.append(
            f"The rules disagree widely, from {low:.2g} to {high:.2g}: use it as an order of magnitude, and look at "
            "the curve."
        )
    if curve.ended == "steps" and curve.lowest >= curve.steps - 1 - curve.steps // _REACH:
        sentences.append(f"The loss was still falling at the last rate, {curve.rates[-1]:.2g}; try a higher --to.")
    if (limit := _find_limit(curve)) is not None and own >= limit:
        sentences.append(f"The recipe's rate is too high here: from {limit:.2g} on, the loss was above its start.")
    return RateAdvice(suggestions, rate, sentences)


def choose_window(losses: Sequence[float], smoothed: Sequence[float]) -> tuple[float, float]:
    """The losses between which a curve is worth looking at: what comes before its lowest point, and some room above.

    A loss that has diverged would press all of it flat.
    """
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__)
    low, high = min(losses), max(*losses[: max(lowest, 4) + 1], smoothed[0])
    room = 0.1 * (high - low) or 0.5 * abs(high) or 1.0
    return (max(0.0, low - room / 2) if low >= 0 else low - room / 2), high + room


def _list_unsuited(curve: LossCurve) -> list[str]:
    """Why a curve suggests nothing; empty where it does."""
    if len(curve.losses) < curve.settling + 5:
        where = f"at a rate of {curve.rates[-1]:.2g}" if curve.rates else "at the first step"
        what = "was not finite" if curve.ended == "not finite" else "diverged"
        return [f"No suggestion: the loss {what} {where}, before it could fall; try a lower --from."]
    fall, needed = curve.start - curve.smoothed[curve.lowest], max(_SURE * curve.noise, _FALL * curve.start)
    if fall > needed:
        return []
    sentence = f"No suggestion: the curve shows no descent. The loss was {curve.start:.4g} at the start and fell by"
    sentence += f" {max(0.0, fall):.2g} at most; a fall of {needed:.2g} would exceed the noise."
    hint = "Try a higher --to, or more --steps." if curve.ended == "steps" else "Try more --steps."
    return [f"{sentence} {hint}"]


def _compare_rates(own: float, rate: float, low: float, high: float) -> str:
    if low <= own <= high:
        return f"The recipe's rate, {own:g}, lies between them, so both rates are fine."
    factor = own / rate
    way = f"{factor:.2g} times higher" if factor > 1 else f"{1 / factor:.2g} times lower"
    return f"The recipe's rate, {own:g}, is {way}."


def _find_limit(curve: LossCurve) -> float | None:
    """The rate after which the smoothed loss rose above that of the start, or was not finite; None if it never was."""
    above = [index for index in range(curve.lowest, len(curve.smoothed)) if curve.smoothed[index] > curve.start]
    return curve.centers[above[0]] if above else curve.rates[-1] if curve.ended == "not finite" else None


def _suggest_steepest(curve: LossCurve) -> float:
    """The rate at which the smoothed loss falls fastest over the rate's logarithm, before its lowest point.

    The slope is that over some steps to either side, since from one step to the next it is mostly noise.
    """
    reach = max(1, curve.steps // _REACH)
    last = curve.lowest
    slopes = {
        index: (curve.smoothed[min(last, index + reach)] - curve.smoothed[index - reach])
        / math.log(curve.centers[min(last, index + reach)] / curve.centers[index - reach])
        for index in range(curve.settling, last + 1)
    }
    return curve.centers[min(slopes, key=slopes.__getitem__)]


def _suggest_minimum(curve: LossCurve) -> float:
    return curve.centers[curve.lowest] / 10


def _suggest_valley(curve: LossCurve) -> float:
    """The rate in the middle of the longest valley.

    The valley is the stretch that ends with the longest decreasing subsequence of the smoothed losses and is as many
    steps long.
    """
    losses = curve.smoothed[curve.settling :]
    lengths = _find_decreasing(losses)
    end = max(range(len(losses)), key=lengths.__getitem__)
    return curve.centers[curve.settling + end - lengths[end] // 2]


def _find_decreasing(values: Sequence[float]) -> list[int]:
    """How long the longest decreasing subsequence is that ends with each value."""
    lengths: list[int] = []
    for index, value in enumerate(values):
        before = (length for length, other in zip(lengths, values[:index], strict=True) if other > value)
        lengths.append(1 + max(before, default=0))
    return lengths
