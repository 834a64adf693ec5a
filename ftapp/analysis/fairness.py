"""Whether the arms of an experiment are comparable: the hashes of their weights and of the examples that they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftapp.analysis.pairing import digest_batches
from ftapp.analysis.records import Arm


@dataclass(frozen=True)
class Fairness:
    """Whether the arms of an experiment are comparable, and by which hashes.

    arms: their names; rounds: the names of their repeats or folds; weights, pretrained, batches: for each repeat the
    hashes that the arms' runs told, of all their first weights, of those that no new head holds, and of their examples
    in order. None for a run that did not come to tell.
    """

    arms: list[str]
    rounds: list[str]
    weights: list[list[str | None]]
    pretrained: list[list[str | None]]
    batches: list[list[str | None]]

    def sentences(self) -> list[str]:
        """What the hashes show."""
        same, other = "began from bitwise the same weights", "did not begin from the same weights"
        found = [self._describe(self.weights, same, other)]
        if self._differing(self.weights):
            same = "began from bitwise the same pretrained weights; what differs is a new head"
            found.append(self._describe(self.pretrained, same, "did not begin from the same pretrained weights"))
        same, other = "saw the same examples in the same order", "did not see the same examples in the same order"
        return [*found, self._describe(self.batches, same, other)]

    def table(self) -> dict[str, Any]:
        """As JSON has it: what was hashed, repeat by repeat, an arm with its hash."""
        found = {"weights": self.weights, "pretrained": self.pretrained, "batches": self.batches}
        return {name: [dict(zip(self.arms, each, strict=True)) for each in repeats] for name, repeats in found.items()}

    def _differing(self, repeats: list[list[str | None]]) -> dict[str, list[str]]:
        """The arms that differ from the first, and in which repeats or folds."""
        found: dict[str, list[str]] = {}
        for name, (first, *others) in zip(self.rounds, repeats, strict=True):
            for arm, each in zip(self.arms[1:], others, strict=True):
                if each != first:
                    found.setdefault(arm, []).append(name)
        return found

    def _describe(self, repeats: list[list[str | None]], same: str, other: str) -> str:
        if any(None in each for each in repeats):
            return f"Whether all arms {same} is not known: a run ended before it told."
        if differ := self._differing(repeats):
            listed = [arm if len(repeats) == 1 else f"{arm} ({', '.join(names)})" for arm, names in differ.items()]
            return f"Against {self.arms[0]} these {other}: {', '.join(listed)}."
        hashes = ", ".join(str(each[0])[:12] for each in repeats)
        return f"All arms {same} ({'hash' if len(repeats) == 1 else f'{len(repeats)} hashes:'} {hashes})."


def check_fairness(arms: Sequence[Arm]) -> Fairness:
    """Compare the hashes of all arms, repeat by repeat."""
    found = Fairness([arm.name for arm in arms], [each.round for each in arms[0].records], [], [], [])
    for runs in zip(*(arm.records for arm in arms), strict=True):
        models = [each.history.model for each in runs]
        found.weights.append([(model and model.digest) or None for model in models])
        found.pretrained.append([(model and model.pretrained) or None for model in models])
        found.batches.append(["+".join(seen) if (seen := digest_batches(each)) else None for each in runs])
    return found
