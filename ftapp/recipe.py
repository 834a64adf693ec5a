"""Recipes: what a run does, in names and numbers. Read from TOML, overridden by a profile and --set, and checked.

Nothing here imports Keras, so that a bad recipe is refused in a fraction of a second and the TUI can edit recipes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from ftapp import presets, sources
from ftapp.errors import Problem, RecipeError, nearest
from ftapp.resources import bundled as bundled
from ftapp.rules import parse_rule, parse_selections

Task = Literal["image-classification", "text-classification", "causal-lm"]
Head = Literal["softmax", "one-vs-rest", "linear-svm"]
Pooling = Literal["average", "max", "flatten"]
Backend = Literal["tensorflow", "jax", "torch"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Split = Literal["validation", "test"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]
Optimizer = Literal["adam", "adamw", "sgd", "rmsprop", "lion"]
Schedule = Literal["constant", "linear", "cosine"]

_LENGTHS = {"epochs", "steps"}
# Lists of tables that are found by their names, and how their keys are written.
_NAMED = {
    "phase": "a phase is a table of keys such as phase.{name}.epochs",
    "arm": "an arm is a table of keys such as arm.{name}.seed",
}
_OF_ARMS = ("arm", "finding")
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+_-]{0,39}")

Share = Annotated[float, Field(ge=0, lt=1)]


def _checked_size(size: float) -> float:
    if size < 0 or (size >= 1 and size != int(size)):
        raise ValueError(f"a split is a share below 1 or a whole number of examples; got {size}")
    return size


def _checked_rule(text: str) -> str:
    parse_rule(text)
    return text


def _checked_selections(text: str) -> str:
    parse_selections(text)
    return text


SplitSize = Annotated[float, AfterValidator(_checked_size)]

# What pydantic puts into an error's location beside the recipe's own keys: which form of the learning rate was tried,
# and that it is about a table's key.
_NUMBER, _TABLE, _KEY = "<number>", "<table>", "[key]"


def _form_of_rate(value: Any) -> str | None:
    return _TABLE if isinstance(value, dict) else _NUMBER if isinstance(value, int | float) else None


Rate = Annotated[float, Field(gt=0)]
Rates = Annotated[dict[Annotated[str, AfterValidator(_checked_selections)], Rate], Field(min_length=1)]
LearningRate = Annotated[
    Annotated[Rate, Tag(_NUMBER)] | Annotated[Rates, Tag(_TABLE)],
    Discriminator(
        _form_of_rate,
        custom_error_type="learning_rate",
        custom_error_message="should be a number or a table of numbers such as { backbone = 1e-5, head = 1e-3 }",
    ),
]


class Section(BaseModel):
    """A table of a recipe. Unknown keys are errors; values are never converted from one type to another.

    The text below a key is its description in the JSON schema and in the interface.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Model(Section):
    """The pretrained model and the new layers on top of it."""

    preset: Annotated[str, AfterValidator(presets.checked)]
    """The pretrained model: a name of KerasHub's, hf://OWNER/MODEL, a folder, assets:NAME, or pypi://FILE/MEMBER."""
    image_size: Annotated[list[Annotated[int, Field(ge=8)]], Field(min_length=2, max_length=2)] | None = None
    """[height, width] in pixels to which images are resized. Cost grows with the area."""
    sequence_length: Annotated[int, Field(ge=4)] | None = None
    """Tokens of an example; the rest of a longer text is cut off."""
    features: str | None = None
    """The layer of the backbone whose output feeds the head; without it, the backbone's own output does."""
    pooling: Pooling = "average"
    """How positions of the features become one vector: their average, their maximum, or all of them in a row."""
    normalize: bool = False
    """Whether each feature is brought to mean 0 and variance 1 before the new layers, by batch normalization without an
    affine part (He et al. 2022, Masked Autoencoders, appendix A.1), so that one learning rate suits the features of any
    layer."""
    hidden: list[Annotated[int, Field(ge=1)]] = []
    """Widths of new fully connected ReLU layers between the backbone and the classifier."""
    dropout: Share = 0.0
    """The share of the classifier's inputs that is left out at random in training."""
    head: Head = "softmax"
    """The classifier: softmax (one class of all), one-vs-rest (a logistic unit for each class against all others), or
    linear-svm (hinge loss, a wide margin)."""
    label_smoothing: Share = 0.0
    """The share of each training label that is spread evenly over all classes (Szegedy et al. 2016), so that the model
    grows less sure of itself: regularisation. Held-out losses are without it."""


class Data(Section):
    """Where examples come from and how they are split."""

    source: Annotated[str, AfterValidator(sources.checked)]
    """Where examples come from: folder:PATH (a sub-folder of images for each class), csv:FILE, jsonl:FILE, text:FILE,
    tfds:NAME, sklearn:digits, gutenberg:NUMBER, or pypi://FILE/MEMBER."""
    text_column: str = "text"
    """The column of a table that holds the text."""
    label_column: str = "label"
    """The column of a table that holds the class."""
    classes: list[str] | None = None
    """Names of the classes in the order of the model's outputs; without them, all that occur, in order."""
    limit: Annotated[int, Field(ge=2)] | None = None
    """Draw so many examples before splitting, seeded and balanced as the source is; without it, all are used."""
    validation: SplitSize = 0.1
    """Examples that the run is watched on: a share of all (below 1) or a number."""
    test: SplitSize = 0.2
    """Examples that the result is measured on: a share of all (below 1) or a number."""


class Augment(Section):
    """Random changes to the training images or texts, which follow from the run's seed; evaluation sees none.

    Each step draws them anew, except where the outputs of frozen layers are kept (`frozen.cache`): `views` augmented
    views of each example are kept then, and the epochs take turns at them.
    """

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Mirror half of the images, left to right, top to bottom, or either."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn images by at most so many degrees either way."""
    zoom: Share = 0.0
    """Scale images by at most this share, in or out."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of each side that a random crop keeps before it is resized back; 1 crops nothing."""
    translation: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.0, 0.0]
    """Move images by at most this share of [width, height] either way."""
    fill_mode: FillMode = "reflect"
    """What appears beyond the edge: the nearest pixels, the mirrored image (reflect), the repeated image (wrap), or
    `fill_value` (constant)."""
    fill_value: Annotated[float, Field(ge=0, le=255)] = 0.0
    """The brightness beyond the edge with fill_mode = constant, from 0 (black) to 255 (white)."""
    token_dropout: Share = 0.0
    """Leave each token of a text out with this probability (random deletion, Wei & Zou 2019)."""
    word_swap: Share = 0.0
    """So many times for each word, as a share, exchange two words of a text (random swap, Wei & Zou 2019)."""
    views: Annotated[int, Field(ge=1)] = 4
    """Augmented views of each example that are kept where the outputs of frozen layers are; epochs take turns at
    them."""


class Frozen(Section):
    """How frozen layers are computed."""

    cache: bool = True
    """Whether the outputs of the frozen layers at the bottom, which no trained layer feeds, are computed once, kept on
    disk and read in each epoch, where that saves time."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """What these outputs are kept in; auto is what they are computed in, which loses nothing."""
    dropout: bool = False
    """Whether dropout in frozen layers stays on; their outputs then differ from step to step and are not kept."""


class Phase(Section):
    """A stretch of training with one choice of frozen layers and one optimizer.

    Its length is `epochs` or `steps`. Moments of the former phase's optimizer are kept where it was of the same kind
    (`ftapp.optimizers`).
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
    """What the phase is called: a letter, then letters, digits, - and _."""
    layers: list[Annotated[str, AfterValidator(_checked_rule)]] = []
    """Rules, one a line, that say which layers train; everything does until one says otherwise, and later ones override
    earlier ones. For example: freeze all; train attention & last:4; train head."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """How many times the phase sees all training examples."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """How many batches the phase trains on."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Examples of a step. Memory grows with it; larger batches have a steadier gradient."""
    optimizer: Optimizer = "adam"
    """What turns gradients into changes of the weights. Adam and AdamW keep two values for each weight that trains, the
    others one."""
    learning_rate: LearningRate = 1e-3
    """A number, or a table of numbers by selections of layers, such as { backbone = 1e-5, head = 1e-3,
    "attention & last:2" = 3e-5 }, of which later ones override earlier ones."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Multiplies the rate of a layer once more for each block that lies above it, so that lower layers learn more
    slowly; 1 changes nothing."""
    schedule: Schedule = "constant"
    """The course of the learning rate after the warm-up: constant, or falling in a straight line or along a cosine."""
    warmup: Share = 0.0
    """The share of the phase in which the learning rate rises to its value."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """How fast weights shrink towards 0, by the optimizer's own rule: regularisation."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Gradients longer than this are shortened to it; without it, none are."""
    gradient_norm: bool = False
    """Whether each step tells how long its gradient is before it is shortened; this takes some 2% of a step."""

    @property
    def base_rate(self) -> float:
        """The highest learning rate of the phase, before `layer_decay`; the other rates are relative to it."""
        return max(self.learning_rate.values()) if isinstance(self.learning_rate, dict) else self.learning_rate

    @model_validator(mode="after")
    def _one_length(self) -> Phase:
        if (self.epochs is None) == (self.steps is None):
            arrived = "neither" if self.epochs is None else f"epochs = {self.epochs} and steps = {self.steps}"
            raise ValueError(f"a phase has either 'epochs' or 'steps'; got {arrived}")
        return self


class Evaluate(Section):
    """When and on what the run evaluates. The result at the end of the run is always that of the whole test split."""

    every: Annotated[int, Field(ge=1)] | None = None
    """Evaluate every so many steps; without it, after each epoch."""
    split: Split = "validation"
    """The split that is evaluated while the run trains."""
    examples: Annotated[int, Field(ge=1)] | None = None
    """At most so many examples of the split; without it, all."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Examples that are evaluated together; it changes time and memory, not the result."""


class Samples(Section):
    """Texts that a causal language model continues before and after the training and, with `every`, every so many
    steps of it.

    With `common`, the share of what it writes that is among so many of the most frequent tokens of the training text is
    measured too, over `draws` texts for each prompt.
    """

    prompts: Annotated[list[str], Field(min_length=1)]
    """Beginnings that the model continues."""
    tokens: Annotated[int, Field(ge=1)] = 48
    """How many tokens it adds to each."""
    temperature: Annotated[float, Field(gt=0)] = 0.8
    """How freely it chooses: towards 0 always the likeliest token, above 1 less likely ones more often."""
    top_k: Annotated[int, Field(ge=1)] = 40
    """It chooses among so many of the likeliest tokens."""
    every: Annotated[int, Field(ge=1)] | None = None
    """Also samples every so many steps."""
    common: Annotated[int, Field(ge=1)] | None = None
    """Also measure what share of it is among so many of the training text's most frequent tokens."""
    draws: Annotated[int, Field(ge=1)] = 16
    """Over so many texts for each prompt."""


Measure = Literal[
    "loss",
    "accuracy",
    "accuracy-after",
    "time-saved",
    "early-variance",
    "variance",
    "drift",
    "drift-course",
    "common-tokens",
    "trainable-share",
]
_OF_TWO_ARMS = {"loss", "accuracy", "time-saved", "early-variance", "variance", "drift"}


class Finding(Section):
    """What an experiment is expected to show, to be set beside what it does show (`ftapp.findings`).

    It holds where what is measured of `arm`, for most measures `against` another, is `at_least` and `at_most` so much.
    """

    says: str
    """The finding in words."""
    lesson: str
    """The value that was reported elsewhere, in words."""
    measure: Measure
    """What is measured of it."""
    arm: str
    """Of which arm."""
    against: str | None = None
    """Against which other arm, for differences and ratios."""
    step: Annotated[int, Field(ge=0)] | None = None
    """After so many steps, for accuracy-after."""
    at_least: float | None = None
    """It holds from here up."""
    at_most: float | None = None
    """It holds up to here."""

    @model_validator(mode="after")
    def _is_whole(self) -> Finding:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a finding has 'at_least', 'at_most' or both; got neither")
        if (self.measure in _OF_TWO_ARMS) != (self.against is not None):
            rule = (
                "is of an arm 'against' another" if self.against is None else "is of one arm alone, without 'against'"
            )
            raise ValueError(f"'{self.measure}' {rule}")
        if (self.measure == "accuracy-after") != (self.step is not None):
            raise ValueError("'step' goes with 'accuracy-after', and with no other measure")
        return self


_OF_TEXTS = ("augment.token_dropout", "augment.word_swap")
# Keys that mean nothing to a task.
_FOREIGN: dict[str, tuple[str, ...]] = {
    "image-classification": ("model.sequence_length", *_OF_TEXTS),
    "text-classification": (
        *(f"model.{key}" for key in ("image_size", "features", "pooling")),
        *(f"augment.{key}" for key in Augment.model_fields if key != "views" and f"augment.{key}" not in _OF_TEXTS),
    ),
    "causal-lm": (
        *(f"model.{key}" for key in ("image_size", "features", "pooling", "normalize", "hidden", "dropout", "head")),
        "model.label_smoothing",
    ),
}


def suits(task: str, key: str) -> bool:
    """Whether a key, such as model.pooling, means something to a task."""
    return key not in _FOREIGN.get(task, ())


class Recipe(Section):
    """A resolved recipe: one job, with its profile and overrides applied."""

    title: str
    """What the recipe is called."""
    summary: str
    """What it does, in a sentence or two."""
    task: Task
    """What the model learns: to classify images or texts, or to write on."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Decides the new layers' first weights, the splits, the order of examples and all that is random."""
    backend: Backend = "tensorflow"
    """What Keras computes with."""
    precision: Precision = "auto"
    """What layers compute in; auto is bfloat16 where this machine is found to multiply it faster, else float32."""
    model: Model
    data: Data
    augment: Augment | None = None
    frozen: Frozen = Frozen()
    phase: Annotated[list[Phase], Field(min_length=1)]
    evaluate: Evaluate = Evaluate()
    samples: Samples | None = None
    finding: list[Finding] = []
    """What the recipe's arms are expected to show."""

    def tables(self) -> dict[str, Any]:
        """The recipe as the tables that TOML has it in, defaults included."""
        tables = self.model_dump(exclude_none=True)
        for section, _, key in (key.partition(".") for key in _FOREIGN[self.task]):
            tables.get(section, {}).pop(key, None)
        if not self.finding:
            del tables["finding"]
        return tables

    def to_toml(self) -> str:
        """The recipe as TOML text, defaults included, that reads back to the same recipe."""
        return tomli_w.dumps(self.tables())


def find(name: str) -> Path:
    """The file of a recipe: a path to a TOML file, or the name of a recipe that comes with ftapp.

    Raises RecipeError when there is none, naming the nearest.
    """
    if name.endswith(".toml") or "/" in name:
        try:
            path = Path(name).expanduser()
            if path.is_file():
                return path
        except (OSError, RuntimeError) as error:
            raise RecipeError([Problem(name, "", f"a recipe is a TOML file that can be read: {error}")]) from error
        siblings = [str(path.parent / other.name) for other in path.parent.glob("*.toml")]
        raise RecipeError(
            [
                Problem(
                    "",
                    "",
                    f"a recipe is a TOML file or a name; there is no file '{name}'; "
                    + nearest(name, siblings or bundled()),
                )
            ]
        )
    if name in bundled():
        return bundled()[name]
    raise RecipeError([Problem("", "", f"there is no recipe '{name}'; {nearest(name, bundled())}")])


def copy_to(path: Path, file: Path) -> None:
    """Copy a recipe with its comments. Raises RecipeError when the new file exists, cannot be written or has no name
    for a recipe.
    """
    message = misnamed(file)
    if message is None:
        try:
            with file.open("x", encoding="utf-8") as target:
                target.write(path.read_text("utf-8"))
        except OSError as error:
            message = f"'{file}' cannot be written: {error.strerror}"
    if message is not None:
        raise RecipeError([Problem("", "", message)])


def misnamed(file: Path) -> str | None:
    """What is wrong with a path as that of a new recipe, or None."""
    if file.suffix != ".toml":
        hint = f"; did you mean '{file.with_suffix('.toml')}'?" if file.name else ""
        return f"a recipe's file ends in .toml; got '{file}'{hint}"
    return f"copy writes a new file; '{file}' exists" if file.exists() else None


@dataclass(frozen=True)
class Experiment:
    """A recipe with its arms, the variants of one job that are to be compared.

    base: the recipe without them; arms: each arm's resolved recipe by its name, in order, empty where there are none;
    changes: the keys that each arm overrides, as they stand in the recipe, without those that --set overrides in turn;
    findings: what arms are expected to show.
    """

    base: Recipe
    arms: dict[str, Recipe]
    changes: dict[str, dict[str, Any]]
    findings: list[Finding]

    def to_toml(self) -> str:
        """The recipe as TOML text with its arms, that reads back to the same experiment."""
        arms = [{"name": name} | change for name, change in self.changes.items()]
        findings = [finding.model_dump(exclude_none=True) for finding in self.findings]
        lists = {"arm": arms, "finding": findings}
        return tomli_w.dumps(self.base.tables() | {name: tables for name, tables in lists.items() if tables})


def load(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, apply a profile and `key=value` overrides, and check everything, its arms included.

    Raises RecipeError with all problems at once.
    """
    return load_experiment(path, profile, overrides).base


def tables(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The raw tables of a recipe file with what can be applied of a profile and overrides, unchecked, without its arms.

    Raises RecipeError when the file is not readable as TOML.
    """
    stages, last, problems = _stages(path, profile, overrides)
    return {key: value for key, value in _staged(stages, last, problems)[-1][1].items() if key not in _OF_ARMS}


def load_experiment(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Experiment:
    """The same with the recipe's arms: an arm overrides the recipe and its profile, and `overrides` override arms.

    Raises RecipeError with all problems of the recipe and of every arm at once.
    """
    stages, last, problems = _stages(path, profile, overrides)
    arms = _arms(stages, problems)
    stages = [(place, {key: value for key, value in each.items() if key != "arm"}) for place, each in stages]
    base = _check(_staged(stages, last, problems), problems)
    resolved = {
        name: _check(_staged(stages, [(f"{path} [arm.{name}]", change), *last], problems), problems)
        for name, change in arms.items()
    }
    for number, finding in enumerate(base.finding if base else []):
        for key, arm in (("arm", finding.arm), ("against", finding.against)):
            if arm is not None and arm not in arms:
                message = f"a finding is of the recipe's arms; got '{arm}'; {nearest(arm, arms)}"
                problems.append(Problem(str(path), f"finding.{number}.{key}", message))
    if problems or base is None:
        raise RecipeError(list(dict.fromkeys(problems)))
    alone: dict[str, Any] = {"finding": []}  # a run of one arm shows nothing of them
    resolved_arms = {name: arm.model_copy(update=alone) for name, arm in resolved.items() if arm is not None}
    for _, override in last:
        arms = {name: _without(change, override) for name, change in arms.items()}
    return Experiment(base.model_copy(update=alone), resolved_arms, arms, base.finding)


def _stages(
    path: Path, profile: str | None, overrides: Sequence[str]
) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, dict[str, Any]]], list[Problem]]:
    """The raw tables after each change to them, with the place of the change, the overrides that are laid over arms
    too, still to be applied, and the problems of changing them.
    """
    raw = read(path)
    problems: list[Problem] = []
    named = raw.pop("profile", {})
    if profile is not None and profile not in named:
        problems.append(
            Problem(str(path), "profile", f"there is no profile '{profile}' here; {nearest(profile, named)}")
        )
    changes = [(f"{path} [profile.{profile}]", named[profile])] if profile in named else []
    last: list[tuple[str, dict[str, Any]]] = []
    for override in overrides:
        try:
            change = _parse_override(override)
        except ValueError as error:
            problems.append(Problem("--set", "", str(error)))
            continue
        (changes if "arm" in change else last).append((f"--set {override}", change))
    return _staged([(str(path), raw)], changes, problems), last, problems


def _staged(
    stages: Sequence[tuple[str, dict[str, Any]]],
    changes: Sequence[tuple[str, Mapping[str, Any]]],
    problems: list[Problem],
) -> list[tuple[str, dict[str, Any]]]:
    """The stages and, for each change, one more with it laid over the last. Adds what cannot be to `problems`."""
    made = list(stages)
    for place, change in changes:
        try:
            made.append((place, _merged(made[-1][1], change)))
        except ValueError as error:
            problems.append(Problem(place, next(key for key in (*_NAMED, "") if key in change or not key), str(error)))
    return made


def _arms(stages: Sequence[tuple[str, dict[str, Any]]], problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """What each arm overrides, by its name. Adds what is wrong with the list of arms to `problems`."""
    place, tables = stages[0][0], stages[-1][1].get("arm", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(Problem(place, "arm", f"arms are tables such as [[arm]]; got {tables!r}"))
        return {}
    if len(tables) == 1:
        problems.append(Problem(place, "arm", "a comparison has two arms or more; got 1"))
    arms: dict[str, dict[str, Any]] = {}
    for number, table in enumerate(tables):
        name = table.get("name")
        if not isinstance(name, str) or not _ARM_NAME.fullmatch(name):
            arrived = "none" if name is None else repr(name)
            message = f"an arm has a name of letters, digits, spaces and .+_- such as 'A full'; got {arrived}"
            problems.append(Problem(place, f"arm.{number}.name", message))
        elif name in arms:
            problems.append(Problem(place, f"arm.{name}", "arms have different names; got this one twice"))
        else:
            arms[name] = {key: value for key, value in table.items() if key != "name"}
    return arms


def parse(text: str) -> Recipe:
    """A resolved recipe, without profiles, from TOML text. Raises RecipeError with all problems at once."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError([_not_toml("", error)]) from error
    problems: list[Problem] = []
    recipe = _check([("", raw)], problems)
    if problems or recipe is None:
        raise RecipeError(problems)
    return recipe


def profiles(path: Path) -> list[str]:
    """The names of the profiles in a recipe file. Raises RecipeError when it is not readable as TOML."""
    return list(read(path).get("profile", {}))


def hubless_profiles(path: Path) -> list[str]:
    """The profiles of a recipe file whose preset and data need no model or data hub."""

    def is_hubless(name: str) -> bool:
        try:
            loaded = load(path, name)
        except RecipeError:
            return False
        return not presets.on_hub(loaded.model.preset) and not sources.on_hub(loaded.data.source)

    return [name for name in profiles(path) if is_hubless(name)]


def read(path: Path) -> dict[str, Any]:
    """The raw tables of a recipe file. Raises RecipeError when it is not TOML in UTF-8."""
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecipeError([Problem(str(path), "", f"the recipe cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise RecipeError([Problem(str(path), "", f"a recipe is UTF-8 text; byte {error.start} is not")]) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError([_not_toml(str(path), error)]) from error
    named = raw.get("profile", {})
    wrong = [each for each in (named.values() if isinstance(named, dict) else [named]) if not isinstance(each, dict)]
    if wrong:
        message = f"profiles are tables such as [profile.quick]; got {wrong[0]!r}"
        raise RecipeError([Problem(str(path), "profile", message)])
    return raw


def _not_toml(place: str, error: Exception) -> Problem:
    return Problem(place, "", f"a recipe is TOML; {str(error)[0].lower()}{str(error)[1:]}")


def _names(tables: Any) -> list[str]:
    """The names of a raw recipe's phases or arms; their numbers where they have none."""
    if not isinstance(tables, list):
        return []
    return [str(table.get("name", index) if isinstance(table, dict) else index) for index, table in enumerate(tables)]


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it; tables merge, other values replace, phases and arms are found by name.

    A value of None, which TOML does not have, takes its key away.
    """
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(old, list) and key in _NAMED:
            result[key] = _merged_list(key, old, value)
        elif isinstance(value, Mapping) and (isinstance(old, dict) or old is None):
            merged = _merged(old or {}, value)
            if merged or not value or old is not None:
                result[key] = merged
        else:
            result[key] = value
    return result


def _merged_list(kind: str, tables: list[Any], changes: Mapping[str, Any]) -> list[Any]:
    result, names = list(tables), _names(tables)
    for name, change in changes.items():
        if name not in names:
            raise ValueError(f"there is no {kind} '{name}'; {nearest(name, names)}")
        index = names.index(name)
        if not isinstance(tables[index], dict) or not isinstance(change, Mapping):
            raise ValueError(f"{_NAMED[kind].format(name=name)}; got {change!r}")
        # A phase's length is epochs or steps, so the one that is laid over takes the other's place.
        kept = {key: old for key, old in tables[index].items() if not (key in _LENGTHS and _LENGTHS & set(change))}
        result[index] = _merged(kept, change)
    return result


def _without(change: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a change once another is laid over it."""
    left: dict[str, Any] = {}
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(other.get(key), Mapping):
            if inner := _without(value, other[key]):
                left[key] = inner
        elif key not in other and not (key in _LENGTHS and _LENGTHS & set(other)):
            left[key] = value
    return left


def parse_value(text: str) -> Any:
    """What stands behind `key=` in an override: a value of TOML, else the text itself; None, no value, where empty."""
    if not text.strip():
        return None
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _parse_override(text: str) -> dict[str, Any]:
    if not text.isprintable():
        raise ValueError(f"an override is one line of UTF-8 text; got {text!r}")
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ValueError(f"an override is key=value, such as data.limit=1000; got '{text}'")
    parsed = parse_value(value)
    nested: dict[str, Any] = {parts[-1]: parsed}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    return nested


def _check(stages: Sequence[tuple[str, dict[str, Any]]], problems: list[Problem]) -> Recipe | None:
    """The recipe that the last stage holds. Adds its problems, each laid at the first stage that shows it."""
    found = [_validate(raw) for _, raw in stages]
    recipe, final = found[-1]
    for key, message in final:
        origin = next(place for (place, _), (_, seen) in zip(stages, found, strict=True) if (key, message) in seen)
        problems.append(Problem(origin, key, message))
    return recipe


def _validate(raw: dict[str, Any]) -> tuple[Recipe | None, list[tuple[str, str]]]:
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        return None, list(dict.fromkeys(_explained(item, _names(raw.get("phase"))) for item in error.errors()))
    return recipe, list(_conflicts(recipe))


def _explained(error: Mapping[str, Any], phase_names: list[str]) -> tuple[str, str]:
    """Pydantic's error in our words: the key, and the rule, what arrived and the nearest valid choice."""
    path, fields = _walk(error["loc"])
    if len(path) > 1 and path[0] == "phase" and path[1].isdecimal():
        path[1] = phase_names[int(path[1])]
    key, arrived, kind = ".".join(path), error["input"], error["type"]
    if kind == "extra_forbidden":
        return key, f"unknown key; {nearest(path[-1], fields)}"
    if kind == "missing":
        return key, "this key is required and is missing"
    if kind == "literal_error":
        choices = [choice.strip().strip("'") for choice in error["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return key, f"unknown value {arrived!r}; {nearest(str(arrived), choices)}"
    if kind == "value_error":
        return key, str(error["ctx"]["error"])
    rule = error["msg"].removeprefix("Input ")
    return key, f"{rule}; got {arrived!r}"


def _walk(location: Sequence[str | int]) -> tuple[list[str], list[str]]:
    """The readable path of an error, without pydantic's own marks, and the keys valid beside its last part."""
    section: type[Section] | None = Recipe
    path: list[str] = []
    fields: list[str] = []
    for part in location:
        if part in (_NUMBER, _TABLE, _KEY):
            continue
        if isinstance(part, str) and section is not None:
            fields = list(section.model_fields)
            field = section.model_fields.get(part)
            section = next(_sections(field.annotation), None) if field else None
        path.append(str(part))
    return path, fields


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def too_long(wanted: int, longest: int) -> str:
    """What to say of a sequence length that is beyond a model's positions."""
    return f"this model reads at most {longest} tokens; got {wanted}; the nearest valid choice is {longest}"


def _conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Keys that are valid alone and not together."""
    is_image, is_lm = recipe.task == "image-classification", recipe.task == "causal-lm"
    model = recipe.model
    needed = "image_size" if is_image else "sequence_length"
    if getattr(model, needed) is None:
        yield f"model.{needed}", f"this key is required for {recipe.task} and is missing"
    for name in _FOREIGN[recipe.task]:
        section, _, key = name.partition(".")
        table = getattr(recipe, section)
        if table is not None and key in table.model_fields_set:
            yield name, f"this key does not go with task = '{recipe.task}'"
    longest = presets.max_sequence_length(model.preset)
    if longest is not None and model.sequence_length is not None and model.sequence_length > longest:
        yield "model.sequence_length", too_long(model.sequence_length, longest)
    if recipe.augment is not None and is_lm:
        yield "augment", f"augmentation is for classifiers; the task is '{recipe.task}'"
    if model.label_smoothing and model.head == "linear-svm":
        yield "model.label_smoothing", "this key does not go with head = 'linear-svm', which has no probabilities"
    if recipe.samples is not None and not is_lm:
        yield "samples", f"only a causal language model writes samples; the task is '{recipe.task}'"
    if not recipe.data.test:
        yield "data.test", "the result needs a test split, so this is above 0; got 0"
    if recipe.evaluate.split == "validation" and not recipe.data.validation:
        yield "evaluate.split", "there is no validation split, since data.validation = 0; did you mean 'test'?"
    shares = [size for size in (recipe.data.validation, recipe.data.test) if size < 1]
    if sum(shares) >= 1:
        yield "data.test", f"validation and test leave nothing to train on; got {' + '.join(map(str, shares))}"
    names = [phase.name for phase in recipe.phase]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"phase.{name}", "phases have different names; got this one twice"
    yield from sources.conflicts(recipe.task, recipe.data.source)
