"""Prompts with their completions as a language model takes them: an example in a row, the loss on completions alone."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity, join_names
from ftapp.data.completions import Completions, Exchanges
from ftapp.data.dataset import IGNORED, AugmentedView, BatchKey
from ftapp.data.encoding import compute_padded_width, tokenize
from ftapp.data.examples import Subset
from ftapp.data.hashes import hash_content
from ftapp.data.labels import override
from ftapp.data.mapped_arrays import ArrayWriter
from ftapp.data.of_subset import OfSubset
from ftapp.data.table_labels import LEAVE_OUT
from ftapp.recipe import Recipe, presets
from ftapp.recipe.templates import Exchange

_SHOWN = 3  # places of examples
_AT_ONCE = 1024  # examples that are tokenized together


class EncodedCompletions(OfSubset):
    """Prompts with their completions, tokenized when they are made, padded to the longest of a batch.

    A row has the tokenizer's start token, if there is one, then of each exchange the tokens of the prompt, those of the
    completion, and the end token. Prompt and completion are tokenized apart, as they are when the model is asked. Each
    token predicts the next one, of which those of completions and the end tokens count. A row is cut at the sequence
    length, and an example of which no target is left is left out.

    Args:
        subset: The examples, which are `Completions`.
        preprocessor: The preset's preprocessor.

    Attributes:
        lengths: The number of tokens of each example that the model reads, int64 (examples,).
        cut: The number of examples whose completions are cut.
        left_out: The places of the examples that are left out.
        longest: The largest number of tokens that the model would read of an example if none were cut.
    """

    def __init__(self, subset: Subset, preprocessor: Any) -> None:
        completions = cast(Completions, subset.examples)
        limit, tokenizer = int(preprocessor.sequence_length), preprocessor.tokenizer
        rows = encode_rows([completions.exchanges[index] for index in subset.indices], tokenizer)
        self._limit, self._pad = limit, int(tokenizer.pad_token_id or 0)
        tokens_of, targets_of, lengths = ArrayWriter(np.int32), ArrayWriter(np.int32), array("q")
        self.cut, self.left_out, self.longest, kept = 0, list[str](), 0, list[int]()
        for number, (tokens, learned) in enumerate(rows):
            inputs, targets = tokens[:-1], np.where(learned, tokens, np.int32(IGNORED))[1:]
            self.longest = max(self.longest, len(inputs))
            if not (targets[:limit] != IGNORED).any():
                self.left_out.append(subset.locate(number))
                continue
            self.cut += bool((targets[limit:] != IGNORED).any())
            tokens_of.append(inputs[:limit])
            targets_of.append(targets[:limit])
            lengths.append(len(inputs[:limit]))
            kept.append(number)
        self._subset = Subset(completions, subset.indices[kept])
        self._completions = completions
        self.lengths = np.array(lengths, np.int64)
        self._ends = self.lengths.cumsum()
        self._tokens, self._targets = tokens_of.finish(), targets_of.finish()

    def __len__(self) -> int:
        return len(self.lengths)

    def make_inputs(self, indices: NDArray[np.int64], key: BatchKey | AugmentedView | None) -> dict[str, NDArray[Any]]:
        """Return token_ids, int32, and padding_mask, bool, each (examples, tokens)."""
        width = self.compute_width(indices)
        tokens = self._pad_rows(self._tokens, indices, width, self._pad)
        return {"token_ids": tokens, "padding_mask": np.arange(width) < self.lengths[indices][:, None]}

    def get_targets(self, indices: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the next token at each position, int32 (examples, tokens); `IGNORED` where it does not count."""
        return self._pad_rows(self._targets, indices, self.compute_width(indices), IGNORED)

    def compute_width(self, indices: NDArray[np.int64]) -> int:
        """Return the number of tokens to which these examples are padded."""
        return compute_padded_width(self.lengths[indices], self._limit)

    def read_example(self, index: int) -> Exchange:
        """Return what comes before the last completion of an example, and that completion."""
        return self._completions.read_exchange(int(self._subset.indices[index]))

    def list_prompts(self, count: int) -> list[str]:
        """List the first prompts of the first examples."""
        return [self._completions.exchanges[int(index)][0].prompt for index in self._subset.indices[:count]]

    def hash_examples(self, indices: NDArray[np.int64], view: AugmentedView | None) -> list[bytes]:
        """Hash all that decides the inputs of these examples, padding aside, and their targets, to 16 bytes each."""
        widths = (compute_padded_width(self.lengths[[index]], self._limit) for index in indices)
        return [
            hash_content(b"".join(np.asarray(part).tobytes() for part in (width, *self._get_rows(index))))
            for width, index in zip(widths, indices, strict=True)
        ]

    def _get_rows(self, index: np.int64) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the tokens and the targets of an example, without padding."""
        place = slice(self._ends[index] - self.lengths[index], self._ends[index])
        return self._tokens[place], self._targets[place]

    def _pad_rows(
        self, values: NDArray[np.int32], indices: NDArray[np.int64], width: int, value: int
    ) -> NDArray[np.int32]:
        padded = np.full((len(indices), width), value, np.int32)
        for place, end, length in zip(padded, self._ends[indices], self.lengths[indices], strict=True):
            place[:length] = values[end - length : end]
        return padded


def encode_rows(examples: Sequence[Exchanges], tokenizer: Any) -> Iterator[tuple[NDArray[np.int32], NDArray[np.bool_]]]:
    """Encode examples in whole rows.

    Args:
        examples: The exchanges of each example.
        tokenizer: The preset's tokenizer.

    Yields:
        The token ids of an example, int32 (tokens,), and whether each is learned, bool (tokens,).
    """
    for begin in range(0, len(examples), _AT_ONCE):
        yield from _encode_some(examples[begin : begin + _AT_ONCE], tokenizer)


def _encode_some(
    examples: Sequence[Exchanges], tokenizer: Any
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.bool_]]]:
    texts = [part for exchanges in examples for exchange in exchanges for part in exchange]
    found = iter(tokenize(texts, tokenizer))
    start, end = tokenizer.start_token_id, tokenizer.end_token_id
    ends = [] if end is None else [end]
    for exchanges in examples:
        tokens = [] if start is None else [start]
        learned = [False] * len(tokens)
        for _ in exchanges:
            prompt, answer = next(found), [*next(found), *ends]
            tokens += [*prompt, *answer]
            learned += [False] * len(prompt) + [True] * len(answer)
        yield np.array(tokens, np.int32), np.array(learned, bool)


def check_lengths(recipe: Recipe, encoded: dict[str, EncodedCompletions]) -> list[str]:
    """Check which examples of all splits are cut at the sequence length.

    Args:
        recipe: The recipe.
        encoded: The examples by the name of the split.

    Returns:
        Sentences about cut completions and about examples that are left out.

    Raises:
        RecipeError: Some prompts leave no token of their completion, and the recipe does not leave them out.
    """
    limit, notes = recipe.model.sequence_length, list[str]()
    left_out = [place for part in encoded.values() for place in part.left_out]
    longest = max(part.longest for part in encoded.values())
    if left_out and not recipe.data.skip_incomplete:
        raise RecipeError([Problem("", "model.sequence_length", _explain_no_room(recipe, left_out, longest))])
    if left_out:
        few = join_names(left_out, _SHOWN)
        notes.append(f"{format_quantity(len(left_out), 'example')} left out, whose prompt fills {limit} tokens: {few}")
    if cut := sum(part.cut for part in encoded.values()):
        said = f"completions of {format_quantity(cut, 'example')} are cut at {limit} tokens"
        notes.append(f"{said}; the longest example has {longest:,} (model.sequence_length)")
    return notes


def _explain_no_room(recipe: Recipe, left_out: Sequence[str], longest: int) -> str:
    """Explain that prompts leave no room, with the ways out."""
    limit, most = recipe.model.sequence_length, presets.read_max_sequence_length(recipe.model.preset)
    several = len(left_out) > 1
    said = (
        f"the prompt{'s' if several else ''} of {format_quantity(len(left_out), 'example')} "
        f"{'fill' if several else 'fills'} all {limit} tokens, so that nothing of the completion is left to learn: "
        f"{join_names(left_out, _SHOWN)}; a completion has a token at least"
    )
    wanted = min(longest, most or longest)
    more = [override("model.sequence_length", str(wanted))] if wanted > (limit or 0) else []
    return "; ".join((said, *more, LEAVE_OUT))
