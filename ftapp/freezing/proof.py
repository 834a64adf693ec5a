"""The freeze proof: hashes of all weights before and after a phase show which of them changed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.layers import name_variables, restore_values_after

_DIGEST = 16  # bytes
_SMALL = 1 << 18  # values that are hashed before threads for them have begun


@dataclass(frozen=True)
class ProofResult:
    """The changes of the weights in a phase; a weight is named by its layer's path and its own name.

    Attributes:
        frozen: The number of frozen weights and statistics.
        digest: A hash of all frozen weights and statistics, in hex.
        changed: Frozen weights and statistics that changed.
        moved: The number of trained weights that changed.
        still: Trained weights that did not change.
    """

    frozen: int
    digest: str
    changed: tuple[str, ...]
    moved: int
    still: tuple[str, ...]


class Proof:
    """Hashes the weights at a phase's start, and compares them at its end.

    Hashing takes about a second for each GB of weights.

    Args:
        plan: The phase's plan, which says what trains and what is frozen.
        before: The hashes of the phase's start, by name, where they are known; those of now by default.
    """

    def __init__(self, plan: LayerPlan, before: dict[str, bytes] | None = None) -> None:
        frozen = {id(variable) for decision in plan.decisions for variable in decision.frozen}
        trained = {id(variable) for decision in plan.decisions for variable in decision.trained}
        named = _name_variables(plan)
        self._frozen = {name: variable for name, variable in named.items() if id(variable) in frozen}
        self._trained = {name: variable for name, variable in named.items() if id(variable) in trained}
        self.before = before or hash_variables(self._frozen | self._trained)

    def compare(self) -> ProofResult:
        """Compare the weights with those at the start."""
        after = hash_variables(self._frozen | self._trained)
        still = tuple(name for name in self._trained if after[name] == self.before[name])
        return ProofResult(
            frozen=len(self._frozen),
            digest=combine({name: after[name] for name in self._frozen}),
            changed=tuple(name for name in self._frozen if after[name] != self.before[name]),
            moved=len(self._trained) - len(still),
            still=still,
        )

    def find_unequal_replicas(self) -> list[str]:
        """Find the weights of which a part, or the whole, is not bitwise the same on all devices that have it."""
        found = []
        for name, variable in (self._frozen | self._trained).items():
            shards = getattr(variable.value, "addressable_shards", ())
            replicas = [(str(shard.index), np.asarray(shard.data)) for shard in shards]
            first = dict(reversed(replicas))  # of each part
            if any(each.tobytes() != first[part].tobytes() for part, each in replicas if each is not first[part]):
                found.append(name)
        return found

    def find_stuck(self, names: Sequence[str], model: keras.Model, x: Any, y: Any, rate: float) -> list[str]:
        """Find the weights that did not change and should have.

        A weight that no gradient reaches may stay still: behind a unit that is always off, or a bias that softmax
        cancels. It is a fault when the model does not train the weight at all, or when a plain gradient step moves it.
        The weights are put back; the model must be compiled anew afterwards.

        Args:
            names: Weights that did not change.
            model: The phase's model.
            x: The inputs of a batch.
            y: Its targets.
            rate: The learning rate of the step.
        """
        trains = {id(variable) for variable in model.trainable_variables}
        before = hash_variables({name: self._trained[name] for name in names})
        with restore_values_after(model.variables):
            model.compile(optimizer=keras.optimizers.SGD(rate), loss=model.loss, jit_compile=model.jit_compile)
            model.train_on_batch(x, y)
            after = hash_variables({name: self._trained[name] for name in names})
        return [name for name in names if after[name] != before[name] or id(self._trained[name]) not in trains]


def digest_weights(plan: LayerPlan) -> dict[str, bytes]:
    """Hash each weight and statistic of a model, by its layer's path and its own name."""
    return hash_variables(_name_variables(plan))


def _name_variables(plan: LayerPlan) -> dict[str, Any]:
    return name_variables((decision.path, decision.variables) for decision in plan.decisions)


def combine(hashes: dict[str, bytes]) -> str:
    """Hash hashes by name into one, in hex."""
    whole = hashlib.blake2b(digest_size=_DIGEST)
    for name, digest in sorted(hashes.items()):
        whole.update(name.encode() + b"\0" + digest)
    return whole.hexdigest()


def hash_variables(variables: dict[str, Any]) -> dict[str, bytes]:
    """Hash the value of each variable, by the same names."""
    if sum(math.prod(each.shape) for each in variables.values()) < _SMALL:
        return {name: _hash(each) for name, each in variables.items()}
    with ThreadPoolExecutor() as pool:  # hashlib works outside of the interpreter lock
        return dict(zip(variables, pool.map(_hash, variables.values()), strict=True))


def _hash(variable: Any) -> bytes:
    # `.value`: of a variable itself the conversion takes ten times as long on TensorFlow.
    value: NDArray[Any] = np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value))
    whole = hashlib.blake2b(f"{value.dtype}{value.shape}".encode() + b"\0", digest_size=_DIGEST)
    whole.update(value.reshape(-1).view(np.uint8).data)
    return whole.digest()
