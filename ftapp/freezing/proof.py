"""The freeze proof: hashes of every weight before and after a phase show what moved and what did not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp.freezing.layer_plan import LayerPlan
from ftapp.models.layers import name_variables

_DIGEST = 16  # bytes


@dataclass(frozen=True)
class ProofResult:
    """What a phase did to the weights, each named by its layer's path and its own name.

    frozen: how many weights and statistics were to stay as they were; digest: a hash of all of these, in hex;
    changed: those among them that did not stay; moved: how many of the weights that train changed; still: the others.
    """

    frozen: int
    digest: str
    changed: tuple[str, ...]
    moved: int
    still: tuple[str, ...]


class Proof:
    """Remembers the weights at a phase's start by their hashes, and compares them at its end."""

    def __init__(self, plan: LayerPlan) -> None:
        """plan: what trains and what is frozen. Hashing takes about a second for each GB of weights."""
        frozen = {id(variable) for decision in plan.decisions for variable in decision.frozen}
        trained = {id(variable) for decision in plan.decisions for variable in decision.trained}
        named = _named(plan)
        self._frozen = {name: variable for name, variable in named.items() if id(variable) in frozen}
        self._trained = {name: variable for name, variable in named.items() if id(variable) in trained}
        self._before = hashed(self._frozen | self._trained)

    def finding(self) -> ProofResult:
        """Compare the weights as they are now with those at the start."""
        after = hashed(self._frozen | self._trained)
        still = tuple(name for name in self._trained if after[name] == self._before[name])
        return ProofResult(
            frozen=len(self._frozen),
            digest=combined({name: after[name] for name in self._frozen}),
            changed=tuple(name for name in self._frozen if after[name] != self._before[name]),
            moved=len(self._trained) - len(still),
            still=still,
        )

    def stuck(self, names: Sequence[str], model: keras.Model, x: Any, y: Any, rate: float) -> list[str]:
        """Those of the named weights, which did not move, that should have.

        A weight that no gradient reaches (behind a unit that is always off, or a bias that softmax cancels) may stay
        still. It is a fault when the model does not train a weight at all, or when a plain gradient step of this rate
        on a batch moves it. The model needs compiling anew afterwards; its weights are put back.
        """
        trains = {id(variable) for variable in model.trainable_variables}
        variables = list(model.variables)
        kept = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        before = hashed({name: self._trained[name] for name in names})
        model.compile(optimizer=keras.optimizers.SGD(rate), loss=model.loss, jit_compile=model.jit_compile)
        model.train_on_batch(x, y)
        after = hashed({name: self._trained[name] for name in names})
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
        return [name for name in names if after[name] != before[name] or id(self._trained[name]) not in trains]


def digests(plan: LayerPlan) -> dict[str, bytes]:
    """A hash of each weight and statistic of a model, by the path of its layer and its own name."""
    return hashed(_named(plan))


def _named(plan: LayerPlan) -> dict[str, Any]:
    return name_variables((decision.path, decision.variables) for decision in plan.decisions)


def combined(hashes: dict[str, bytes]) -> str:
    """One hash, in hex, of many by name."""
    whole = hashlib.blake2b(digest_size=_DIGEST)
    for name, digest in sorted(hashes.items()):
        whole.update(name.encode() + b"\0" + digest)
    return whole.hexdigest()


def hashed(variables: dict[str, Any]) -> dict[str, bytes]:
    """A hash of each variable's value, by the same names."""
    with ThreadPoolExecutor() as pool:  # hashlib works outside of the interpreter lock
        return dict(zip(variables, pool.map(_hash, variables.values()), strict=True))


def _hash(variable: Any) -> bytes:
    # `.value`: of a variable itself the conversion takes ten times as long on TensorFlow.
    value: NDArray[Any] = np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value))
    whole = hashlib.blake2b(f"{value.dtype}{value.shape}".encode() + b"\0", digest_size=_DIGEST)
    whole.update(value.reshape(-1).view(np.uint8).data)
    return whole.digest()
