"""`--verify-cache`: compares cached features with their checksums, and a sample of them with recomputed ones."""

from __future__ import annotations

import os
import time

import numpy as np
from numpy.typing import NDArray

from ftapp.data.dataset import BatchKey
from ftapp.runs.event_log import EventLog
from ftapp.runs.phase_events import CacheVerified
from ftapp.training.callbacks.callback import Callback
from ftapp.training.feature_choice import count_views
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState

VERIFIED = 64
"""Examples whose cached features are computed anew in each phase, drawn from all that the phase uses."""


class VerifyFeatures(Callback):
    """Verifies the features of a phase before its first step, if the environment's FTAPP_VERIFY_CACHE is 1."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._session: PhaseSession

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Verify this segment's features."""
        self._session = session

    def on_train_begin(self, state: TrainState) -> None:
        """Compare all cached features with their checksums, and a sample of the phase's own with recomputed ones.

        Raises:
            RunError: A recomputed feature differs by more than rounding explains.
        """
        session = self._session
        if os.environ.get("FTAPP_VERIFY_CACHE") != "1" or not session.cached:
            return
        parts = self._parts()
        if not all(session.prepare(split, indices, draw) for split, draw, indices in parts):
            return
        checked = session.cached["train"].check_all()
        starts = np.cumsum([0, *(len(indices) for *_, indices in parts)])
        chosen = np.random.default_rng([session.recipe.seed, session.index]).permutation(starts[-1])[:VERIFIED]
        difference = 0.0
        for (split, draw, indices), start in zip(parts, starts[:-1], strict=True):
            places = chosen[(chosen >= start) & (chosen < start + len(indices))] - start
            difference = max(difference, session.cached[split].verify(indices[places], draw))
        self._log.write(
            CacheVerified(
                time=time.time(),
                phase=session.phase.name,
                examples=len(chosen),
                difference=difference,
                checked=checked,
            )
        )

    def _parts(self) -> list[tuple[str, BatchKey | None, NDArray[np.int64]]]:
        """What the phase uses: the name of the split, the key of the augmentation, and the examples."""
        session, recipe = self._session, self._session.recipe
        train, test = np.arange(len(session.data["train"])), np.arange(len(session.data["test"]))
        views = max(1, count_views(recipe, session.phase, session.splits))
        parts: list[tuple[str, BatchKey | None, NDArray[np.int64]]] = [
            *(("train", BatchKey(recipe.seed, session.index, view, 0), train) for view in range(views)),
            ("test", None, test),
        ]
        if recipe.evaluate.split == "validation":
            # Without the lengths: the sample is drawn from the examples in their own order.
            order = session.evaluation_order("validation", recipe.evaluate.examples)
            parts.append(("validation", None, np.sort(np.concatenate(order))))
        return parts
