"""The freeze proof of a segment, from its first step to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftapp.common.errors import ProofError
from ftapp.common.formatting import join_names
from ftapp.freezing.proof import Proof, ProofResult
from ftapp.models.adapters import is_first_factor
from ftapp.training.callbacks.callback import Callback
from ftapp.training.session import PhaseSession
from ftapp.training.state import TrainState


class FreezeProof(Callback):
    """Compares the weights at a segment's end with those at its start.

    Attributes:
        finding: What the segment that ended last did to the weights.
        stuck: The weights that did not move although a gradient step moves them.
        unequal: The weights that are not the same on all devices of the run.
    """

    finding: ProofResult
    stuck: Sequence[str]
    unequal: Sequence[str]

    def __init__(self) -> None:
        self._session: PhaseSession
        self._proof: Proof

    def on_segment_begin(self, session: PhaseSession, state: TrainState) -> None:
        """Watch this segment."""
        self._session = session

    def on_train_begin(self, state: TrainState) -> None:
        """Remember the weights by their hashes."""
        self._proof = Proof(self._session.plan, state.segment_digests)
        state.segment_digests = self._proof.before

    def on_segment_end(self, state: TrainState) -> None:
        """Compare the weights, and try a gradient step on those that did not move."""
        self.finding, self.stuck = self._proof.compare(), []
        self.unequal = self._proof.find_unequal_replicas()
        updates = (state.position.step - state.segment_step) // self._session.phase.accumulate
        # The first factor of an adapter has no gradient in the first update: the second one is zero.
        still = [name for name in self.finding.still if updates > 1 or not is_first_factor(name)]
        if still and updates:
            session, batch = self._session, next(self._session.batches())
            self.stuck = self._proof.find_stuck(
                still, session.model, batch.inputs, batch.targets, state.rate_sum / session.phase.accumulate
            )
            session.compile()

    def list_facts(self) -> dict[str, Any]:
        """List what the segment that ended last did to the weights, as the fields of `SegmentProof`."""
        found = self.finding
        return {
            "frozen": found.frozen,
            "digest": found.digest,
            "changed": list(found.changed),
            "moved": found.moved,
            "still": list(found.still),
            "stuck": list(self.stuck),
        }

    def check(self) -> None:
        """Check what the segment that ended last did to the weights.

        Raises:
            ProofError: A frozen weight changed, a trained one did not although it should have, or a weight is not the
                same on all devices.
        """
        phase = self._session.phase.name
        if self.finding.changed:
            raise ProofError(f"frozen weights changed in phase '{phase}': {join_names(self.finding.changed)}")
        if self.unequal:
            raise ProofError(f"weights differ between devices in phase '{phase}': {join_names(self.unequal)}")
        if self.stuck:
            raise ProofError(
                f"trainable weights did not change in phase '{phase}' although their gradient is not zero: "
                f"{join_names(self.stuck)}"
            )
