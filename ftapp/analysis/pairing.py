"""Which steps of two runs can be compared: losses on the same batches, and times of warm steps."""

from __future__ import annotations

import numpy as np

from ftapp.analysis.records import Arm, Record, compare_settings, find_warm_steps
from ftapp.analysis.statistics import Series

# Keys of a recipe, as `settings` names them, that have a say in which examples are in which batch.
_BATCHES = ("seed", "data.", "model.image_size", "model.sequence_length", "augment.")
# Keys that decide what the training loss is.
_LOSSES = ("model.head", "model.label_smoothing", "balance.class_weights", "balance.focal_gamma")
_BATCHES_OF_PHASE = ("batch_size", "steps", "epochs")


def pair_losses(a: Arm, b: Arm) -> list[tuple[Series, Series]]:
    """The training losses of A and B on the same batches, a pair a repeat; none where they did not see the same."""
    pairs = list(zip(a.records, b.records, strict=True))
    if any(explain_other_batches(*pair) for pair in pairs):
        return []
    return [_cut_to_same_steps(one.column("loss"), other.column("loss")) for one, other in pairs]


def _cut_to_same_steps(a: Series, b: Series) -> tuple[Series, Series]:
    n = min(len(a), len(b))
    return a[:n], b[:n]


def pair_times(a: Record, b: Record) -> tuple[Series, Series]:
    """Seconds of the steps of both runs: of the same steps, where they have as many in each phase.

    Where one came to its end with fewer steps than the other, both are divided into as many stretches of equal length.
    """
    warm_a, warm_b = find_warm_steps(a), find_warm_steps(b)
    if _list_lengths(a) == _list_lengths(b) and len(warm_a) == len(warm_b):
        warm_a = warm_b = warm_a & warm_b
    seconds = a.column("seconds")[warm_a], b.column("seconds")[warm_b]
    if {a.status, b.status} != {"done"}:
        return _cut_to_same_steps(*seconds)
    fewer = min(map(len, seconds))
    return _divide_stretches(seconds[0], fewer), _divide_stretches(seconds[1], fewer)


def _divide_stretches(seconds: Series, count: int) -> Series:
    """The time of each of so many stretches of a course of steps, (count,); all of it together stays."""
    if len(seconds) == count:
        return seconds
    passed = np.concatenate([[0.0], np.cumsum(seconds)])
    found: Series = np.diff(np.interp(np.linspace(0, len(seconds), count + 1), np.arange(len(passed)), passed))
    return found


def _list_lengths(one: Record) -> list[int]:
    return [phase.steps for phase in one.history.phases]


def count_preparation(a: Arm, b: Arm) -> tuple[float, float]:
    """Seconds that A and B need for cached features, as if each had none.

    One run computes them and the others find them there, so each is charged what any run took for the same ones.
    """
    took: dict[tuple[str, ...], float] = {}
    uses: list[list[tuple[str, ...]]] = [[], []]
    for used, arm in zip(uses, (a, b), strict=True):
        for number, each in enumerate(arm.records):
            for phase, ended in zip(each.history.phases, each.history.ended_phases, strict=False):
                key = (
                    tuple(phase.cache.layers) if phase.cache and phase.cache.cached else ("none", arm.name, phase.phase)
                )
                took[key] = max(took.get(key, 0.0), ended.preparing + ended.seconds_saved)
                if number == 0 and key not in used:
                    used.append(key)
    return sum(took[key] for key in uses[0]), sum(took[key] for key in uses[1])


def explain_other_batches(a: Record, b: Record) -> str | None:
    """Why the losses of two runs cannot be paired; None when they can."""
    if not len(a.history.steps) or not len(b.history.steps):
        return "a run made no steps"
    if kinds := [key for key in compare_settings([a, b]) if key.startswith(_LOSSES)]:
        return f"the runs have losses of different kinds: {', '.join(kinds)} differ{'s' if len(kinds) == 1 else ''}"
    differing = [key for key in compare_settings([a, b]) if _decides_batches(key)]
    seen = digest_batches(a), digest_batches(b)
    if None in seen:  # a run that goes on, or was killed: its recipe has to do
        return f"the runs did not see the same batches: {', '.join(differing)} differ" if differing else None
    if seen[0] != seen[1]:
        why = f": {', '.join(differing)} differ" if differing else ""
        return f"the runs did not see the same batches{why}"
    return None


def digest_batches(one: Record) -> list[str] | None:
    """Hashes of what a run saw in each phase; None when it did not come to tell."""
    ended = one.history.ended_phases
    if len(ended) < len(one.history.phases) or not all(phase.batches for phase in ended):
        return None
    return [phase.batches for phase in ended]


def _decides_batches(key: str) -> bool:
    return key.startswith(_BATCHES) or (key.startswith("phase.") and key.rpartition(".")[2] in _BATCHES_OF_PHASE)
