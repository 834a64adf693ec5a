"""Examples of a language model that learns to continue prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.data.examples import Texts
from ftapp.data.hashes import hash_content
from ftapp.recipe.templates import Exchange

Exchanges = tuple[Exchange, ...]
"""The exchanges of an example: one for a prompt with its completion, one for each turn of the model in a chat."""


class Completions(Texts):
    """Prompts with their completions, in memory. Two are equal when both parts are, space around the whole aside.

    Args:
        exchanges: The exchanges of each example, at least one.
        given_split: As `Texts` takes it.
        names: As `Texts` takes it.
        notes: As `Texts` takes it.
        groups: As `Texts` takes it.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchanges],
        given_split: NDArray[np.int8] | None = None,
        names: Sequence[str] | None = None,
        notes: tuple[str, ...] = (),
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        texts = ["".join(part for exchange in each for part in exchange) for each in exchanges]
        super().__init__(texts, given_split=given_split, names=names, notes=notes, groups=groups)
        self.exchanges = exchanges

    def read_exchange(self, index: int) -> Exchange:
        """Read an example as people see it: all that comes before its last completion, and that completion."""
        *_, last = self.exchanges[index]
        return Exchange(self.texts[index].removesuffix(last.completion), last.completion)

    def digest(self, index: int) -> bytes:
        """Hash the text as `Texts` does, and where its completions begin."""
        parts = [part for exchange in self.exchanges[index] for part in exchange]
        parts[0], parts[-1] = parts[0].lstrip(), parts[-1].rstrip()
        return hash_content("\0".join(parts).encode("utf-8", "surrogatepass"))
