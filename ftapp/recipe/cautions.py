"""Cautions: problems that a valid recipe is likely to meet, found from the recipe alone before it runs.

Thresholds are far from what recipes of the literature use, so that a caution is rare and worth reading.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftapp.common.formatting import format_quantity
from ftapp.recipe.layer_rules import Selections, WeightedLayer, decide
from ftapp.recipe.tasks import TASKS

if TYPE_CHECKING:
    from ftapp.recipe import Phase, Recipe

PRETRAINED_RATES = {"adam": 5e-4, "adamw": 5e-4, "rmsprop": 5e-4, "sgd": 2e-2, "lion": 1e-4}
"""The highest rate for pretrained layers that passes without a caution, by optimizer.

Adam: ten times the highest that BERT was fine-tuned with (5e-5; Devlin et al. 2019, appendix A.3), half of what new
layers are given by default. RMSprop has steps of Adam's size. SGD with momentum: twice the 1e-2 around which the best
rates for fine-tuned image networks lie (Kornblith et al. 2019, appendix A.5). Lion: a fifth of Adam's, in the middle of
the 3 to 10 times smaller that its authors advise (Chen et al. 2023, section 5).
"""

_SMALL = 4  # times these rates for a model of some million parameters; Kaplan et al. 2020, equation D.1
FEW_EXAMPLES = 30
"""Held-out examples below which one of them moves the accuracy by more than three points."""
FEW_STEPS = 20
"""Steps below which Adam's averages (10 steps for gradients) have hardly begun to mean something."""
OF_LENGTH = {"few-steps", "never-evaluated", "rate-too-small", "batch-of-all", "patience-too-long"}
"""Cautions that training may be too short, too long or too slow to learn, which a good result has answered."""
_LEAST_MOVE = 1e-3  # Adam moves a weight by about its rate a step; new weights are of the size of 0.05 (Glorot)
_MUCH_DROPOUT = 0.8
_OUTSIDE = ("head", "pooler", "classifier")  # selections that are of new layers, or of the pooler just below them


@dataclass(frozen=True)
class Caution:
    """A warning about a recipe.

    Attributes:
        id: Fixed words joined by "-".
        says: The warning, in a sentence.
        advice: The remedy.
        key: The recipe's key that the warning is about; "" for none.
    """

    id: str
    says: str
    advice: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.says}; {self.advice}"

    def to_table(self) -> dict[str, str]:
        """Return the caution as JSON has it."""
        return {"id": self.id, "says": self.says, "advice": self.advice, "key": self.key}


def find_cautions(
    recipe: Recipe, sizes: Mapping[str, int] | None = None, layers: Sequence[WeightedLayer] | None = None
) -> list[Caution]:
    """Find the cautions about a recipe.

    Args:
        recipe: The recipe.
        sizes: Numbers of examples by the name of the split; without them, those that the recipe tells are used.
        layers: The weighted layers of its model; without them, rules are taken by their words.

    Returns:
        The cautions, in order of the recipe's tables.
    """
    known = dict(sizes or _find_sizes(recipe))
    return [
        *_check_heads(recipe, layers),
        *(caution for phase in recipe.phase for caution in _check_pretrained_rate(recipe, phase, layers)),
        *_check_lengths(recipe, known),
        *_check_stop(recipe, known),
        *_check_held_out(recipe, known),
        *_check_noise(recipe),
        *_check_template(recipe),
        *_check_balance(recipe),
        *_check_devices(recipe),
    ]


def _find_sizes(recipe: Recipe) -> dict[str, int]:
    """Find the sizes of splits as far as the recipe alone tells them."""
    data = recipe.data
    given = {"validation": data.validation, "test": data.test_size}
    known = {name: int(size) for name, size in given.items() if size >= 1 or size == 0}
    if data.limit is not None:
        known |= {name: round(size * data.limit) for name, size in given.items() if 0 < size < 1}
        known["train"] = data.limit - known["validation"] - known["test"]
    return known


def _list_head(recipe: Recipe) -> list[WeightedLayer]:
    """List the new layers with weights that train, as rules see them."""
    names = [*(f"head_dense_{index}" for index in range(len(recipe.model.hidden))), "classifier"]
    return [WeightedLayer(name, frozenset({"head"}), None, 0) for name in names]


def _check_heads(recipe: Recipe, layers: Sequence[WeightedLayer] | None) -> Iterator[Caution]:
    if not TASKS[recipe.task].heads:  # the head is pretrained
        return
    head = [layer for layer in layers or () if "head" in layer.groups and "normalization" not in layer.path]
    head = head or _list_head(recipe)
    trained: set[str] = set()
    for phase in recipe.phase:
        trained |= {each.layer.path for each in decide(phase.layers, head)[0] if each.trains}
        random = [layer.path for layer in head if layer.path not in trained]
        if random:
            what = f"{', '.join(random)} {'keeps its' if len(random) == 1 else 'keep their'} random first weights"
            yield Caution(
                "head-frozen",
                f"in phase '{phase.name}' {what}, since no rule lets the new layers train",
                "add 'train head' to its layers",
                f"phase.{phase.name}.layers",
            )


def _check_pretrained_rate(recipe: Recipe, phase: Phase, layers: Sequence[WeightedLayer] | None) -> Iterator[Caution]:
    rate = _find_rate_of_layers(phase, layers) if layers else _find_rate_by_words(phase)
    limit = PRETRAINED_RATES[phase.optimizer] * (_SMALL if recipe.model.preset.startswith("assets:") else 1)
    if rate is None or rate <= limit:
        return
    table = isinstance(phase.learning_rate, dict)
    key = f"phase.{phase.name}.learning_rate"
    better = f"{key}={{ backbone = {limit / 10:.0e}, head = {phase.base_rate:g} }}"
    if table or not TASKS[recipe.task].heads:
        better = f"{key}{'.backbone' if table else ''}={limit / 10:.0e}"
    yield Caution(
        "pretrained-rate",
        f"in phase '{phase.name}' pretrained layers train at {rate:g}, a rate for new layers, which is likely to undo "
        "what they have learned",
        f"{phase.optimizer} fine-tunes at {limit:g} or less, for example --set '{better}'",
        key,
    )


def _is_pretrained(layer: WeightedLayer) -> bool:
    return not {"head", "pooler"} & layer.groups


def _find_rate_of_layers(phase: Phase, layers: Sequence[WeightedLayer]) -> float | None:
    """Find the highest rate of pretrained weights that train; None where none does.

    Biases and adapters train at rates of new layers (Ben Zaken et al. 2022; Hu et al. 2022).
    """
    rates = [
        [rate for chosen, rate in phase.rates.items() if "weights" in chosen.find_parts(each.layer)][-1:]
        for each in decide(phase.layers, layers)[0]
        if "weights" in each.parts and _is_pretrained(each.layer)
    ]
    return max((rate for found in rates for rate in found), default=None)


def _find_rate_by_words(phase: Phase) -> float | None:
    """Find the same rate from the words of the rules, where the model's layers are not known."""
    trains = True
    for rule in phase.layers:
        if not rule.trainable:
            trains = trains and not _reaches_all(rule)
        elif rule.reaches_weights and _reaches_some(rule):
            trains = True
    if not trains:
        return None
    found: float | None = None
    for chosen, rate in phase.rates.items():
        if _reaches_all(chosen):
            found = rate
        elif _reaches_some(chosen):
            found = max(found or 0.0, rate)
    return found


def _reaches_all(chosen: Selections) -> bool:
    """Tell whether selections match every pretrained layer, whatever the model."""
    whole = ({"all"}, {"backbone"}, {"all", "backbone"})
    return any(
        {term.text for term in each if not term.negated} in whole and len(each) == 1 for each in chosen.selections
    )


def _reaches_some(chosen: Selections) -> bool:
    """Tell whether selections may match a pretrained layer below the pooler."""
    return any(
        not any(not term.negated and (term.text in _OUTSIDE or term.text.startswith("head_")) for term in each)
        for each in chosen.selections
    )


def _count_steps(phase: Phase, train: int | None) -> int | None:
    if phase.steps is not None:
        return phase.steps
    assert phase.epochs is not None
    return None if train is None else phase.epochs * math.ceil(max(1, train) / phase.batch_size)


def _check_lengths(recipe: Recipe, sizes: Mapping[str, int]) -> Iterator[Caution]:
    train = sizes.get("train")
    lengths = [_count_steps(phase, train) for phase in recipe.phase]
    steps = [length for length in lengths if length is not None]
    if len(steps) == len(lengths):
        if sum(steps) < FEW_STEPS:
            yield Caution(
                "few-steps",
                f"the run makes {format_quantity(sum(steps), 'step')} in all, too few to learn much",
                "train for more epochs or steps, or in smaller batches",
                f"phase.{recipe.phase[-1].name}.{'steps' if recipe.phase[-1].steps else 'epochs'}",
            )
        if recipe.evaluate.every and recipe.evaluate.every > sum(steps) and recipe.kept_metric is None:
            yield Caution(
                "never-evaluated",
                f"the run makes {format_quantity(sum(steps), 'step')} and evaluates every {recipe.evaluate.every}, so "
                "that no evaluation takes place while it trains",
                f"evaluate more often, for example --set evaluate.every={max(1, sum(steps) // 5)}",
                "evaluate.every",
            )
        rates = zip(recipe.phase, steps, strict=True)
        moved = sum(phase.base_rate * count for phase, count in rates if phase.optimizer != "sgd")
        if moved < _LEAST_MOVE and not any(phase.optimizer == "sgd" for phase in recipe.phase):
            yield Caution(
                "rate-too-small",
                f"learning rate times steps is {moved:.1g} in all, so that no weight moves further than about that",
                f"take a larger learning rate or more steps, until the product is {_LEAST_MOVE:g} or more",
                f"phase.{recipe.phase[0].name}.learning_rate",
            )
    for phase in recipe.phase:
        if train is not None and train < phase.batch_size:
            yield Caution(
                "batch-of-all",
                f"in phase '{phase.name}' a batch of {phase.batch_size} takes all {train} training examples, so that "
                "an epoch is one step",
                f"take a smaller batch, for example --set phase.{phase.name}.batch_size={max(1, train // 8)}",
                f"phase.{phase.name}.batch_size",
            )


def _check_stop(recipe: Recipe, sizes: Mapping[str, int]) -> Iterator[Caution]:
    if recipe.evaluate.split == "test" and (recipe.stop or recipe.kept_metric):
        decided = "when a phase ends" if recipe.stop else "with which weights the run ends"
        yield Caution(
            "test-decides",
            f"the test split decides {decided}, so that its result is better than that of other examples would be",
            "evaluate the validation split: --set evaluate.split=validation",
            "evaluate.split",
        )
    if recipe.stop is None:
        return
    useful = _find_most_patience(recipe, sizes)
    if useful is not None and recipe.stop.patience > useful:
        yield Caution(
            "patience-too-long",
            f"no phase has {recipe.stop.patience} evaluations in a row before its last step, so that none ends early",
            f"--set stop.patience={useful}" if useful else "evaluate more often, for example --set evaluate.every=10",
            "stop.patience",
        )


def _find_most_patience(recipe: Recipe, sizes: Mapping[str, int]) -> int | None:
    """Find the largest patience with which a phase may end before its last step; None where lengths are not known.

    The first phase counts from the evaluation before training, the others from their first one.
    """
    train, every, begin, most = sizes.get("train"), recipe.evaluate.every, 0, 0
    for index, phase in enumerate(recipe.phase):
        steps = _count_steps(phase, train)
        if every is None and phase.epochs is not None:
            evaluations = phase.epochs - 1
        elif steps is None or (every is None and train is None):
            return None
        elif every is None:
            evaluations = (steps - 1) // math.ceil(max(1, train or 1) / phase.batch_size)
        else:
            evaluations = (begin + steps - 1) // every - begin // every
        most = max(most, evaluations - (index > 0))
        begin += steps or 0
    return most


def _check_held_out(recipe: Recipe, sizes: Mapping[str, int]) -> Iterator[Caution]:
    task = TASKS[recipe.task]
    unit = f"{task.example}s"
    proportion = next((each.label for each in task.metrics if each.is_proportion), None)
    if task.splitter == "documents" and not {"validation", "test"} & {
        name for name, size in sizes.items() if size >= 1
    }:
        return
    watched = recipe.evaluate.split
    for split in ("validation", "test"):
        size = sizes.get(split)
        if size is None or size >= FEW_EXAMPLES or (split == "validation" and watched != split):
            continue
        purpose = "the run is watched on" if split == watched == "validation" else "the result is measured on"
        weight = f"; each of them is {1 / size:.0%} of the {proportion}" if size and proportion else ""
        is_share = 0 < getattr(recipe.data, split) < 1  # of few data, whose source may give the split as it is
        yield Caution(
            f"few-{split}",
            f"{purpose} {size} {unit}{weight}",
            f"bring more {unit}, or hold out a larger share (data.{split})"
            if is_share
            else f"hold out {FEW_EXAMPLES} or more, for example --set data.{split}=0.2",
            f"data.{split}",
        )
    if (examples := recipe.evaluate.examples) is not None and examples < FEW_EXAMPLES:
        yield Caution(
            "few-evaluated",
            f"evaluations use only {examples} {unit}, so their results vary by chance",
            f"take {FEW_EXAMPLES} or more, for example --set evaluate.examples=100",
            "evaluate.examples",
        )


def _check_noise(recipe: Recipe) -> Iterator[Caution]:
    augment = recipe.augment
    shares = {"model.dropout": recipe.model.dropout, "model.label_smoothing": recipe.model.label_smoothing}
    if augment is not None:
        shares |= {"augment.token_dropout": augment.token_dropout}
        if recipe.data.source == "sklearn:digits" and augment.flip != "none":
            yield Caution(
                "flipped-digits",
                f"augmentation mirrors digits (flip = '{augment.flip}'), and a mirrored digit is a different sign",
                "switch the flip off: --set augment.flip=none",
                "augment.flip",
            )
    for key, share in shares.items():
        if share >= _MUCH_DROPOUT:
            yield Caution(
                "much-noise",
                f"{key} = {share:g} leaves little to learn from",
                f"0.5 is much already: --set {key}=0.5",
                key,
            )


def _check_template(recipe: Recipe) -> Iterator[Caution]:
    text, last = recipe.data.prompt_template.text, "{content}" if recipe.data.chat_column else "{completion}"
    before = text.partition(last)[0]
    if recipe.has_template and before.endswith(" "):
        yield Caution(
            "space-before-completion",
            f"the template has a space before {last}, which becomes a token of its own; most models expect it at the "
            "beginning of the next word",
            "leave the space out, and begin completions with it",
            "data.template",
        )


def _check_balance(recipe: Recipe) -> Iterator[Caution]:
    if recipe.balance.sampling == "balanced" and recipe.balance.class_weights == "balanced":
        yield Caution(
            "balanced-twice",
            "small classes are drawn more often and their losses count more, so that they outweigh the large ones",
            "take one of the two: --set balance.class_weights=none",
            "balance.class_weights",
        )


def _check_devices(recipe: Recipe) -> Iterator[Caution]:
    devices = recipe.devices
    for phase in recipe.phase:
        size = phase.batch_size
        if recipe.parallel == "data" and size % devices:
            yield Caution(
                "undivided-batch",
                f"{devices} devices cannot share batches of {size} in phase '{phase.name}' equally, so each of them "
                "computes whole batches, and no time is saved",
                f"take a multiple of {devices}: --set phase.{phase.name}.batch_size={size + -size % devices}",
                f"phase.{phase.name}.batch_size",
            )
