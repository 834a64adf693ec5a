"""Which strategy of transfer learning fits some data: a rule from what a transfer probe has measured to a recipe.

             last features fit            they do not
small data   train a classifier on them   train a classifier on earlier features
large data   fine-tune in phases          train everything, from the pretrained weights

Texts have no recipe that reads earlier features; those with frozen attention stand in its place. Where the data do not
tell, the choice is the one that trains fewer weights at first, and the other one is named beside it.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ftapp import recipe as recipes
from ftapp.common import local_files
from ftapp.common.errors import Problem, RecipeError
from ftapp.recipe import TASKS, Data, Recipe, sources
from ftapp.rpc.messages import Probe, Survey

Size = Literal["small", "large"]
Fit = Literal["similar", "different", "unclear"]

LARGE = 1000
"""Training examples of a class from which data are large. A rule of thumb: ImageNet has about as many of each of its
classes, which was enough to train networks from nothing (Warden 2017, How many images do you need to train a neural
network?)."""
MARGIN = 0.05
"""The last features fit if no earlier block's tell this share more of the examples right."""
METHOD = (
    "Method: a linear classifier learns the classes from the averaged output of each block, on a sample, in five "
    "folds. This needs no pretraining data: the more a task differs from them, the earlier are the features that fit "
    "it best (Azizpour et al. 2016). Different: an earlier block is more accurate than the last block, beyond chance "
    f"(95% for all blocks together). Similar: no earlier block can be {100 * MARGIN:.0f} points better. Large: "
    f"from {LARGE:,} training examples of a class, by a rule of thumb (Warden 2017). The strategies are the usual "
    "advice on transfer learning. Only runs show their results on your data."
)

_BASES = {"images": "vgg16-feature-extractor", "texts": "bert-head-only"}
_SAMPLE = 100  # files of a folder that are looked at
_NEAR = 2  # times more or fewer examples than LARGE are near to it
_UNBALANCED = 5  # times more examples of one class than of another
_FEW_POSITIONS = 9
_TEST = 0.2  # of the examples, where a recipe's number of them would leave too little
_KEPT = (
    "seed",
    "backend",
    "precision",
    "model.preset",
    "model.image_size",
    "model.sequence_length",
    *(f"data.{key}" for key in Data.model_fields if key not in ("limit", "validation", "test")),
)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy with the recipe that carries it out.

    Attributes:
        strategy: its name.
        recipe: the name of the recipe.
        profile: a profile of the recipe.
        changes: values by dotted key; None takes a key away.
        reason: why this strategy.
    """

    strategy: str
    recipe: str
    profile: str | None
    changes: dict[str, Any]
    reason: str


class Note(msgspec.Struct, frozen=True):
    """A caveat of the advice.

    Attributes:
        text: the caveat, in a sentence.
        change: key and value of the change that helps, where one does; None as a value takes the key away.
    """

    text: str
    change: tuple[str, Any] | None = None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The strategy for some data, with its reasons.

    Attributes:
        size: whether the data are small or large.
        fit: how well they fit the pretrained model.
        because: the reason for `size` and that for `fit`, a sentence each.
        best: the strategy to take.
        others: strategies that are worth a run beside it.
        notes: caveats.
    """

    size: Size
    fit: Fit
    because: tuple[str, str]
    best: Recommendation
    others: tuple[Recommendation, ...]
    notes: tuple[Note, ...]


def choose_recipe(name: str | None, source: str | None) -> str:
    """The recipe whose pretrained model is asked about a source: the one that is named, else the one for its kind.

    Raises RecipeError where neither tells it.
    """
    if name is not None:
        if name not in recipes.bundled() and (given := sources.guess(name)):
            raise _refuse("", f"'{name}' is data, not a recipe; name the data as --source {shlex.quote(given)}")
        return name
    if source is None:
        raise _refuse("", "advice is about a source or a recipe; got neither; for example --source folder:photos")
    try:
        parsed = sources.parse(sources.resolve(source))
        kind = parsed.kind
    except ValueError as error:
        raise _refuse("--source", str(error)) from error
    if kind == "texts":
        raise _refuse("--source", f"advice is for classes, which plain texts do not have; got '{source}'; {_LM}")
    if kind == "any":
        choices = " or ".join(f"'ftapp advise {base} --source {source}'" for base in _BASES.values())
        raise _refuse("--source", f"a tfds: source holds images or texts, and a recipe says which: {choices}")
    return _BASES["images" if kind == "images" or (kind == "files" and not _holds_texts(parsed)) else "texts"]


def _holds_texts(source: sources.Source) -> bool:
    """Whether most of the first files in a folder are texts by their names; an archive is taken for one of images."""
    files = list(itertools.islice(local_files.walk_names(Path(source.name), lambda path, problem: None), _SAMPLE))
    return 2 * sum(local_files.is_text(name) for _, name in files) > len(files) if files else False


def load_asked(name: str, source: str | None, profile: str | None, overrides: Sequence[str]) -> Recipe:
    """The recipe whose pretrained model is asked about a source, or about the recipe's own where it is None.

    Raises RecipeError when it is not valid or has no classes.
    """
    given = [*overrides, *([f"data.source={source}"] if source is not None else [])]
    resolved = recipes.load(recipes.find(name), profile, given)
    if TASKS[resolved.task].labels != "classes":
        hint = f"; {_LM}" if TASKS[resolved.task].writes else ""
        raise _refuse("", f"advice is for one class of each example; the task of '{name}' is '{resolved.task}'{hint}")
    return resolved


_LM = "of language models, 'ftapp run gpt2-full gpt2-targeted' and 'ftapp compare' tell"


def advise(recipe: Recipe, survey: Survey, profile: str | None = None) -> Advice:
    """The strategy for a recipe's data. profile: of the recipes that are advised, where they have one of that name."""
    size, how_large = _judge_size(survey)
    fit, how_similar = _judge_fit(survey)
    taken: Literal["similar", "different"] = "different" if fit == "different" else "similar"
    best = _recommend(size, taken, recipe, survey, profile)
    others = []
    if fit == "unclear":
        best = msgspec.structs.replace(best, reason=f"{best.reason} {_SAFER}")
        if len(survey.probes) > 1:
            others.append(_recommend(size, "different", recipe, survey, profile))
    if LARGE / _NEAR <= count_typical(survey) < LARGE * _NEAR:
        others.append(_recommend("small" if size == "large" else "large", taken, recipe, survey, profile))
    return Advice(
        size=size,
        fit=fit,
        because=(how_large, how_similar),
        best=best,
        others=tuple(other for other in others if other.recipe != best.recipe),
        notes=tuple(_list_caveats(recipe, survey, fit, best)),
    )


def count_typical(survey: Survey) -> int:
    """Training examples of the median class; of the smaller one of two."""
    return sorted(survey.counts)[(len(survey.counts) - 1) // 2]


def _judge_size(survey: Survey) -> tuple[Size, str]:
    count = count_typical(survey)
    size: Size = "large" if count >= LARGE else "small"
    what = f"the smaller class has {count:,}" if len(survey.classes) == 2 else f"the median class has {count:,}"
    return size, f"{size}: {what} examples to train on; from about {LARGE:,} on, data are large"


def _judge_fit(survey: Survey) -> tuple[Fit, str]:
    if len(survey.probes) < 2:
        return "unclear", "not known: the blocks of this pretrained model cannot be read one by one"
    last, best = survey.probes[-1], _find_best_earlier(survey)
    if best.lead[0] > 0:
        return "different", (
            f"different: {best.right:.1%} of a sample is told right by {best.block}'s features and {last.right:.1%} by "
            f"those of the last block, {last.block}"
        )
    if all(probe.lead[1] < MARGIN for probe in survey.probes[:-1]):
        return "similar", (
            f"similar: the last block's features, {last.block}'s, tell {last.right:.1%} of a sample right, and no "
            f"earlier block's tell {100 * MARGIN:.0f} points more"
        )
    return "unclear", (
        f"not clear: {best.block}'s features tell {best.right:.1%} of a sample right and the last block's "
        f"{last.right:.1%}, which on {survey.sample:,} examples is too close to tell ({format_lead(best)} points)"
    )


def _find_best_earlier(survey: Survey) -> Probe:
    """The earlier block that surely leads the last one. If none does, the one with most right answers.

    Of equals it is the later one.
    """
    return max(reversed(survey.probes[:-1]), key=lambda probe: (probe.lead[0] > 0, probe.right))


def name_probe(probe: Probe) -> str:
    """Name the block that a probe read, or what a new classifier reads."""
    return probe.block or f"{probe.layer}, which a new classifier reads"


def format_lead(probe: Probe) -> str:
    """Format the interval of a block's lead over the last one, in points."""
    return f"{100 * probe.lead[0]:+.1f} to {100 * probe.lead[1]:+.1f}"


def _recommend(
    size: Size, fit: Literal["similar", "different"], recipe: Recipe, survey: Survey, profile: str | None
) -> Recommendation:
    if TASKS[recipe.task].inputs == "images":
        strategy, name, reason = _IMAGES[size, fit]
        if name == "vgg16-early-layers" and survey.probes and _find_best_earlier(survey).layer is None:
            strategy, name, reason = _INNER
    else:
        strategy, name, reason = _TEXTS[size, fit]
        if survey.head and survey.head.lead[1] < 0 and name == "bert-head-only":
            strategy, name, reason = _UNREAD
    path = recipes.bundled()[name]
    used = profile if profile in recipes.list_profiles(path) else None
    base = recipes.load(path, used)
    changes = {key: _get_value(recipe, key) for key in _KEPT if _get_value(recipe, key) != _get_value(base, key)}
    if base.data.limit is not None and base.data.limit < survey.examples:
        changes["data.limit"] = None
    for key in ("data.validation", "data.test"):
        if 1 <= _get_value(base, key) > _TEST * survey.examples:
            changes[key] = _TEST
    features = None
    if name == "vgg16-early-layers" and len(survey.probes) > 1:
        features = _find_best_earlier(survey).layer
        reason = reason.format(features)
    if TASKS[recipe.task].inputs == "images" and base.model.features != features:
        changes["model.features"] = features
    if name == "vgg16-two-phase" and survey.probes and survey.probes[-1].block != "block5":
        changes["phase.finetune.layers"] = ["freeze all", "train last:1, head"]
    return Recommendation(strategy=strategy, recipe=name, profile=used, changes=changes, reason=reason)


_IMAGES = {
    ("small", "similar"): (
        "feature extractor",
        "vgg16-feature-extractor",
        "A large network would overfit so few examples. So the network stays frozen, and a linear classifier trains on "
        "its last features.",
    ),
    ("large", "similar"): (
        "fine-tuning in two phases",
        "vgg16-two-phase",
        "There are enough examples to refine the last features. First new layers train on the frozen network, then its "
        "last block trains too, with a small rate.",
    ),
    ("small", "different"): (
        "feature extractor on early layers",
        "vgg16-early-layers",
        "There are too few examples to train the network, and its late features fit them less than earlier features. "
        "So a linear classifier reads the output of {}, and the blocks above it are left out.",
    ),
    ("large", "different"): (
        "training everything from the pretrained weights",
        "vgg16-train-all",
        "The late features fit these images less than earlier features, and there are enough examples to train the "
        "whole network. The pretrained weights are still a better start than random weights.",
    ),
}
_TEXTS = {
    ("small", "similar"): (
        "feature extractor",
        "bert-head-only",
        "A large network would overfit so few examples. So the network stays frozen, and only a classifier trains on "
        "top.",
    ),
    ("large", "similar"): (
        "fine-tuning in phases",
        "bert-gradual-unfreezing",
        "There are enough examples to refine the last features. First pooler and classifier train, then the network is "
        "unfrozen from the top down. Lower blocks learn more slowly.",
    ),
    ("small", "different"): (
        "fine-tuning with frozen attention",
        "bert-freeze-attention",
        "The last features fit less than earlier features, so layers below must train. There are few examples, so "
        "embeddings and attention, about half of the weights, stay frozen. No recipe reads earlier blocks of a text "
        "model.",
    ),
    ("large", "different"): (
        "training everything from the pretrained weights",
        "bert-full",
        "The last features fit less than earlier features, and there are enough examples to train the whole network.",
    ),
}
_INNER = (
    "fine-tuning in two phases",
    "vgg16-two-phase",
    "The last features fit these images less than earlier features, so layers below must train. No recipe can read "
    "this model's blocks, which are inside of a layer. So first new layers train on the frozen network, then its last "
    "block trains too, with a small rate. With so few examples, watch the held-out loss.",
)
_SAFER = "It is not clear whether the last features fit. This strategy changes the fewest pretrained weights."
_UNREAD = (
    "fine-tuning with frozen attention",
    "bert-freeze-attention",
    "The pooled output, which a classifier alone would read, fits less than the last block's features. So more than "
    "the classifier must train. With so few examples, embeddings and attention stay frozen.",
)


def _list_caveats(recipe: Recipe, survey: Survey, fit: Fit, best: Recommendation) -> list[Note]:
    notes: list[Note] = []
    top = max((probe.right for probe in survey.probes), default=1.0)
    if top < survey.guessing + 2 * (survey.guessing * (1 - survey.guessing) / survey.sample) ** 0.5:
        notes.append(
            Note(
                f"No block's features are more accurate than guessing ({survey.guessing:.1%}). Are the labels right? "
                "If they are, frozen features will give a poor accuracy."
            )
        )
    few, most = min(survey.counts), max(survey.counts)
    if most >= _UNBALANCED * max(1, few):
        notes.append(
            Note(
                f"The classes are unbalanced, {few:,} to {most:,}: judge by the recall of each class, not only by the "
                "accuracy. The sample of this test is balanced."
            )
        )
    if survey.positions and survey.positions[0] * survey.positions[1] < _FEW_POSITIONS and fit != "similar":
        assert recipe.model.image_size is not None
        height, width = recipe.model.image_size
        notes.append(
            Note(
                f"At {width} x {height} pixels the last block sees {survey.positions[1]} x {survey.positions[0]} "
                "positions of an image, fewer than in its pretraining. If your images are larger, ask again with "
                "images of 224 x 224 pixels.",
                ("model.image_size", [224, 224]),
            )
        )
    if TASKS[recipe.task].inputs == "texts" and fit == "different":
        notes.append(
            Note(
                "The last block of a text model is also fitted to its pretraining task. So this result means that "
                "your task is different, not that your texts are different (Liu et al. 2019)."
            )
        )
    advised = recipes.load(recipes.bundled()[best.recipe], best.profile)
    if advised.augment is not None:
        values = advised.augment.model_dump(exclude_defaults=True)
        listed = ", ".join(f"{key} = {value}" for key, value in values.items())
        notes.append(
            Note(
                f"This recipe augments images ({listed}): check that your images keep their meaning, or remove the "
                "augmentation.",
                ("augment", None),
            )
        )
    return notes


def with_all_data(recipe: Recipe) -> Recipe:
    """The recipe with all data there are, and shares of them held out, whatever it says: what a survey looks at."""
    every = recipe.data.model_copy(update={"limit": None, "validation": 0.1, "test": 0.2})
    return recipe.model_copy(update={"data": every})


def _get_value(recipe: Recipe, key: str) -> Any:
    found: Any = recipe
    for part in key.split("."):
        found = getattr(found, part)
    return found


def _refuse(key: str, message: str) -> RecipeError:
    return RecipeError([Problem("", key, message)])
