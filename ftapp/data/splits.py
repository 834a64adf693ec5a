"""The splits of examples for training, validation and test: without duplicates, stratified, repeatable from the seed.

Duplicates go before the split (`ftapp.data.duplicates`), so that none sits on both sides. Where the source itself has a
test or validation split, that split stays whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ftapp.common.errors import Problem, RecipeError
from ftapp.common.formatting import format_quantity, join_names
from ftapp.data import folds, group_splits, near_copies, time_splits
from ftapp.data.completions import Completions
from ftapp.data.duplicates import describe_shared, drop_duplicates
from ftapp.data.examples import (
    SPLIT_NAMES,
    TRAIN,
    DocumentSplits,
    Examples,
    Splits,
    Subset,
    Texts,
    count_classes,
)
from ftapp.data.labels import override, quote_label
from ftapp.data.time_splits import Times
from ftapp.recipe import Data

Indices = NDArray[np.int64]

_REPEATED = 0.1  # share of a test split that is said to be in the training split too
_BEGINNING = 4  # words
_FEW = 20  # documents; fewer are taken for books, and each is cut by position


def split(examples: Examples, spec: Data, seed: int) -> Splits:
    """Divide the examples of a source as the recipe says.

    Duplicates go, then `limit` draws from the rest, then sizes below 1 are shares of the drawn examples. Where the
    source has a test or validation split of its own, a share means all of that split and a number so many of it;
    `limit` is then the size of all splits together. Every class is in `train`, and in the others if they have room for
    it.

    Args:
        examples: All examples of the source.
        spec: The recipe's [data].
        seed: The run's seed.

    Returns:
        The splits.

    Raises:
        RecipeError: A size cannot be met, a class has too few examples, or equal examples have different labels.
    """
    generator = np.random.default_rng(seed)
    strata = examples.strata
    distinct = drop_duplicates(examples, spec.conflicts)
    train, validation, test = distinct.train, distinct.validation, distinct.test
    total = len(distinct)
    needed = 1 if len(test) else 2
    _check_classes(examples, train, needed, distinct.notes)

    has_validation, has_test = len(validation) > 0, len(test) > 0
    scale = min(1.0, (spec.limit or total) / total)
    kept_test = _count_examples(spec.test, len(test), scale, "test")
    kept_validation = _count_examples(spec.validation, len(validation), scale, "validation")
    kept_train = min(len(train), (spec.limit or total) - kept_test - kept_validation)
    if spec.limit is not None and kept_train < (least := needed * max(1, len(examples.classes))):
        rest = f", beside {kept_test + kept_validation} for the given splits" if has_test or has_validation else ""
        raise _make_error(
            "data.limit",
            f"{spec.limit} examples are too few; a limit leaves {needed} of each class to train on, at least "
            f"{least} in all{rest}",
        )
    test, _ = _draw(strata, test, kept_test, generator)
    validation, _ = _draw(strata, validation, kept_validation, generator)
    train, _ = _draw(strata, train, kept_train, generator, least=needed)

    whole = len(train)
    if spec.folds is not None:
        test, train = folds.take_fold(examples, train, spec, generator)
    elif not has_test:
        test, train = _carve(examples, train, spec.test, whole, "test", generator)
    if not has_validation:
        validation, train = _carve(examples, train, spec.validation, whole, "validation", generator)
    parts = [Subset(examples, generator.permutation(part)) for part in (train, validation, test)]
    weights = parts[0].weights
    if weights is not None and not weights.any():
        said = "every weight of the training split is 0, so nothing would be learned; some are above 0"
        raise _make_error("data.weight_column", said)
    notes = (
        *examples.notes,
        *distinct.notes,
        *_describe_groups(examples, (train, validation, test)),
        *time_splits.describe(examples.times, (train, validation, test)),
        *folds.describe(spec),
        *_describe_alike(parts[0], parts[2]),
        *_describe_prompts(parts[0], parts[2], spec),
    )
    return Splits(parts[0], parts[1], parts[2], examples.classes, distinct.duplicates, notes)


def _describe_groups(examples: Examples, parts: Sequence[Indices]) -> Iterator[str]:
    """Describe how many groups each split has. Raises RecipeError where splits of the source share groups."""
    if examples.groups is None:
        return
    groups = [set(examples.groups[part].tolist()) for part in parts]
    shared = (groups[0] & groups[1]) | (groups[0] & groups[2]) | (groups[1] & groups[2])
    if shared:
        first = np.flatnonzero(np.isin(examples.groups, sorted(shared)))[0]
        raise _make_error(
            "data.group_column",
            f"{format_quantity(len(shared), 'group')}, such as that of {examples.locate(int(first))}, "
            f"{'are' if len(shared) > 1 else 'is'} in two splits of the source; each group is in one; to have the rows "
            "divided by group, --set data.split_column=",
        )
    sizes = [f"{len(found):,} in {name}" for name, found in zip(SPLIT_NAMES, groups, strict=True)]
    yield f"no group is in two splits; the groups are {', '.join(sizes)}"


def _describe_alike(train: Subset, test: Subset) -> Iterator[str]:
    """Count the test texts that are training texts but for letter case and spaces: a model may have memorized them."""
    if isinstance(test.examples, Texts):
        texts = [str(test[at]) for at in range(len(test))]
        begun = set(map(_fold_beginning, texts))  # that of most training texts is another one, which is quick to see
        known = {_fold_text(text) for at in range(len(train)) if _fold_beginning(text := str(train[at])) in begun}
        if count := sum(_fold_text(text) in known for text in texts):
            yield f"{count:,} of {len(test):,} test texts differ from a training text only in letter case or spaces"


def _describe_prompts(train: Subset, test: Subset, spec: Data) -> Iterator[str]:
    """Count the test prompts that training examples have too, with other completions."""
    examples = test.examples
    if isinstance(examples, Completions):
        known = {examples.read_exchange(int(index)).prompt for index in train.indices}
        if count := sum(examples.read_exchange(int(index)).prompt in known for index in test.indices):
            said = f"{count:,} of {len(test):,} test prompts are prompts of training examples too"
            can_group = spec.chat_column is None and examples.given_split is None
            mend = f"; to keep equal prompts in one split, {override('data.group_column', spec.prompt_column)}"
            yield said + (mend if can_group else "")


def _fold_text(text: str) -> str:
    return " ".join(text.casefold().split())


def _fold_beginning(text: str) -> str:
    """Fold the first words of a text as `_fold_text` does; what is between the words makes no difference."""
    return _fold_text(" ".join(text.split(maxsplit=_BEGINNING)[:_BEGINNING]))


def split_documents(texts: Texts, spec: Data, seed: int) -> DocumentSplits:
    """Divide texts for a language model: many documents, or given splits, as `split` does, few by position.

    Fewer than 20 texts are taken for books: the first part of each trains, the next is for validation, the last for the
    test, cut at the end of a paragraph near the share.

    Args:
        texts: The texts of the source.
        spec: The recipe's [data].
        seed: The run's seed.

    Returns:
        The splits.

    Raises:
        RecipeError: A size cannot be met.
    """
    texts, duplicates = _drop_copies(texts)
    if len(texts) >= _FEW or texts.given_split is not None:
        parts = split(texts, spec, seed)
        train, validation, test = (
            [texts[int(index)] for index in part.indices] for part in (parts.train, parts.validation, parts.test)
        )
        notes = texts.notes if len(texts) >= _FEW else (*texts.notes, *_describe_repeats(train, test))
        return DocumentSplits(train, validation, test, duplicates, notes)
    if texts.groups is not None:
        raise _refuse_few(texts, "data.group_column", "to be divided by groups")
    if spec.folds is not None:
        raise _refuse_few(texts, "data.folds", "for folds")
    for key, size in (("data.validation", spec.validation), ("data.test", spec.test)):
        if size >= 1:
            given = f"{size:.0f} is no size for {format_quantity(len(texts), 'text')}"
            raise _make_error(key, f"{given}; a split of fewer than {_FEW} texts is a share of each, such as {key}=0.1")
    kept = np.sort(np.random.default_rng(seed).permutation(len(texts))[: spec.limit])
    pieces = [_cut(texts[int(index)], 1 - spec.validation - spec.test, 1 - spec.test) for index in kept]
    train, validation, test = ([piece[part] for piece in pieces if piece[part]] for part in range(3))
    for key, size, part in (("test", spec.test, test), ("validation", spec.validation, validation), ("test", 1, train)):
        if size and not part:
            length = sum(len(texts[int(index)]) for index in kept)
            raise _make_error(
                f"data.{key}", f"{length} characters are too few to cut in shares; each split has some text"
            )
    return DocumentSplits(train, validation, test, duplicates, (*texts.notes, *_describe_repeats(train, test)))


def _refuse_few(texts: Texts, key: str, use: str) -> RecipeError:
    """Make the error about texts that are too few for a key, which divides whole texts."""
    few = f"{format_quantity(len(texts), 'text')} {'is' if len(texts) == 1 else 'are'} too few {use}"
    return _make_error(key, f"{few}; below {_FEW}, each is cut in shares; bring {_FEW} or more, or --set {key}=")


def _describe_repeats(train: Sequence[str], test: Sequence[str]) -> Iterator[str]:
    """Describe how much of the test split stands in the training split too, where it is much."""
    share = near_copies.measure_overlap(test, train)
    if share >= _REPEATED:
        yield f"{share:.0%} of the test split, in runs of eight words, stands in the training split too"


def _drop_copies(texts: Texts) -> tuple[Texts, int]:
    """Drop duplicates and near-copies; return the other texts in their order and the number of duplicates."""
    distinct = drop_duplicates(texts, "stop")
    kept = np.sort(np.concatenate((distinct.train, distinct.validation, distinct.test)))
    given = None if texts.given_split is None else texts.given_split[kept]
    ranks = [TRAIN] * len(kept) if given is None else given.tolist()
    copies = near_copies.find([texts[int(index)] for index in kept], ranks)
    notes = texts.notes
    if copies:
        names = join_names(
            [f"{texts.locate(kept[copy])} ({texts.locate(kept[owner])})" for copy, owner in sorted(copies.items())]
        )
        dropped = f"{len(copies):,} near-{'copies' if len(copies) > 1 else 'copy'} dropped"
        notes += (f"{dropped}, at least {near_copies.SHARE:.0%} of which is in another text: {names}",)
    left = [at for at in range(len(kept)) if at not in copies]
    chosen = kept[left]
    some = [texts[int(index)] for index in chosen]
    groups = None if texts.groups is None else texts.groups[chosen]
    return Texts(
        some, given_split=None if given is None else given[left], notes=notes, groups=groups
    ), distinct.duplicates


def _check_classes(examples: Examples, pool: Indices, needed: int, conflicts: Sequence[str]) -> None:
    uses = "to train on" if needed == 1 else "to train on and one to test on"
    if not examples.classes:
        if len(pool) < needed:
            count = format_quantity(len(pool), "text" if isinstance(examples, Texts) else "example")
            raise _make_error("data.source", f"the source has {count} without duplicates; a split needs one {uses}")
        return
    counts = count_classes(examples.labels[pool], len(examples.classes))
    short = [
        f"{quote_label(name)} has {count}"
        for name, count in zip(examples.classes, counts, strict=True)
        if count < needed
    ]
    if short:
        more = " have too few" if len(short) > 10 else ""
        message = f"without duplicates, {join_names(short, 10)}{more}; each class needs one example {uses}"
        raise _make_error("data.source", "; ".join((message, *describe_shared(examples), *conflicts)))


def _count_examples(size: float, available: int, scale: float, part: str) -> int:
    """Count the examples of a split that the source gives, as far as they are used."""
    if size >= 1 and available:
        if size > available:
            given = f"{size:.0f} examples are too many"
            rule = f"the {part} split of this source has {available} without duplicates"
            raise _make_error(f"data.{part}", f"{given}; {rule}")
        return int(size)
    return round(available * scale) if size else 0


def _carve(
    examples: Examples, pool: Indices, size: float, whole: int, part: str, generator: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw a stratified split of `size` examples, or that share of `whole`, out of `pool`; return it and the rest."""
    strata = examples.strata
    count = int(size) if size >= 1 else max(1, round(size * whole)) if size else 0
    left = 1 if examples.classes else 0  # of each stratum; ranges of numbers need no example each
    room = len(pool) - (len(np.unique(strata[pool])) if left else 1)
    if count > room:
        given = f"{count} of {len(pool)} examples are too many for the {part} split"
        keeps = "each class keeps" if examples.classes else "the training split keeps"
        rule = f"{keeps} an example to train on, which leaves at most {max(room, 0)}"
        raise _make_error(f"data.{part}", f"{given}; {rule}")
    if examples.times is not None and count:
        return _cut_latest(examples, examples.times, pool, count, part)
    if examples.groups is None or not count:
        return _draw(strata, pool, count, generator, least=1, left=left)
    drawn = group_splits.draw_groups(strata[pool], examples.groups[pool], count, generator)
    if drawn is None:
        groups = format_quantity(len(np.unique(examples.groups[pool])), "group")
        keeps = "each class" if examples.classes else "each range of numbers"
        rule = f"{keeps} keeps examples of another group to train on"
        raise _make_error("data.group_column", f"{groups} are too few for the {part} split; {rule}")
    return pool[drawn], pool[~drawn]


def _cut_latest(examples: Examples, times: Times, pool: Indices, count: int, part: str) -> tuple[Indices, Indices]:
    """Cut the latest examples off; return them and the rest."""
    drawn = time_splits.draw_latest(times[pool], count)
    latest, rest = pool[drawn], pool[~drawn]
    found = (count_classes(examples.labels[some], len(examples.classes)) for some in (latest, rest))
    lost = [name for name, late, left in zip(examples.classes, *found, strict=True) if late and not left]
    if lost:
        names = join_names(list(map(quote_label, lost)))
        rule = f"each class has an example to train on; a smaller {part} split leaves earlier ones"
        raise _make_error(
            "data.order_column", f"only the latest {count} of {len(pool)} examples have the class {names}; {rule}"
        )
    return latest, rest


def _draw(
    strata: NDArray[np.int32],
    pool: Indices,
    count: int,
    generator: np.random.Generator,
    least: int = 0,
    left: int = 0,
) -> tuple[Indices, Indices]:
    """Draw `count` of `pool`, each stratum in proportion, rounded so that the sum is met; return them and the rest.

    `least` of each stratum are drawn if the count allows it, `left` of each stay in any case.
    """
    if count == len(pool):
        return pool, pool[:0]
    names, counts = np.unique(strata[pool], return_counts=True)
    high = counts - left
    low = np.minimum(least, high)
    if low.sum() > count:
        low = np.zeros_like(low)
    ideal = counts * (count / len(pool))
    quota = np.clip(np.floor(ideal).astype(np.int64), low, high)
    while quota.sum() < count:
        quota[np.argmax(np.where(quota < high, ideal - quota, -np.inf))] += 1
    while quota.sum() > count:
        quota[np.argmax(np.where(quota > low, quota - ideal, -np.inf))] -= 1
    drawn = np.concatenate(
        [generator.permutation(pool[strata[pool] == name])[:number] for name, number in zip(names, quota, strict=True)]
    )
    return np.sort(drawn), np.setdiff1d(pool, drawn, assume_unique=True)


def _cut(text: str, *shares: float) -> list[str]:
    """Cut a text at positions given as shares of its length, each moved to a boundary nearby."""
    ends = [_find_boundary(text, round(share * len(text))) for share in shares]
    return [text[start:end].strip("\n") for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def _find_boundary(text: str, position: int) -> int:
    """Find the end of the paragraph nearest to a position, of the line if that is too far, else of the word."""
    reach = max(200, len(text) // 50)
    for separator in ("\n\n", "\n", " "):
        found = [at for at in _find_around(text, separator, position) if abs(at - position) <= reach]
        if found:
            return min(found, key=lambda at: abs(at - position))
    return position


def _find_around(text: str, separator: str, position: int) -> Iterator[int]:
    before, after = text.rfind(separator, 0, position), text.find(separator, position)
    if before >= 0:
        yield before + len(separator)
    if after >= 0:
        yield after + len(separator)


def _make_error(key: str, message: str) -> RecipeError:
    return RecipeError([Problem("", key, message)])
