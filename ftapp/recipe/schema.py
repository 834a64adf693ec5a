"""The schema of a recipe: its tables, their keys, and the values that each key takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftapp.recipe.folder_layout import Role
from ftapp.recipe.layer_rules import Selections
from ftapp.recipe.tasks import TASKS, Head, TaskName
from ftapp.recipe.value_types import (
    ALL,
    MOST_EPOCHS,
    MOST_EXAMPLES,
    MOST_PIXELS,
    MOST_SEEDS,
    MOST_STEPS,
    MOST_TOKENS,
    MOST_UNITS,
    Backend,
    BatchSize,
    ClassNames,
    Encoding,
    Examples,
    FillMode,
    LearningRate,
    Optimizer,
    ParsedRule,
    PhaseName,
    Pooling,
    Precision,
    PresetUri,
    Schedule,
    Share,
    SourceUri,
    Split,
    SplitFolders,
    SplitSize,
    Steps,
)


class Section(BaseModel):
    """A table of a recipe. Unknown keys are errors; values are never converted from one type to another.

    The text below a key is its description in the JSON schema and in the interface.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Model(Section):
    """The pretrained model and the new layers on top of it."""

    preset: PresetUri
    """The pretrained model: a name of KerasHub's, hf://OWNER/MODEL, a folder, assets:NAME, or pypi://FILE/MEMBER."""
    image_size: (
        Annotated[list[Annotated[int, Field(ge=8, le=MOST_PIXELS)]], Field(min_length=2, max_length=2)] | None
    ) = None
    """[height, width] to which images are resized, each from 8 to 4,096 pixels. The cost grows with the area."""
    sequence_length: Annotated[int, Field(ge=4, le=MOST_TOKENS)] | None = None
    """Tokens of an example, 4 or more; the rest of a longer text is cut off."""
    features: str | None = None
    """The layer of the backbone whose output feeds the head; without it, the backbone's own output does."""
    pooling: Pooling = "average"
    """How positions of the features become one vector: their average, their maximum, or all of them in a row."""
    normalize: bool = False
    """Whether each feature is brought to mean 0 and variance 1 before the new layers (batch normalization without an
    affine part: He et al. 2022, Masked Autoencoders, appendix A.1), so that one learning rate suits the features of any
    layer. Mean and variance are those of the training split, measured once before the first step, at any batch size."""
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=MOST_UNITS)]], Field(max_length=16)] = []
    """Widths of new fully connected ReLU layers between the backbone and the classifier: at most 16 layers, each from 1
    to 65,536 wide."""
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

    source: SourceUri
    """Where examples come from: folder:PATH (a sub-folder of images for each class), csv:FILE, jsonl:FILE, text:FILE,
    tfds:NAME, sklearn:digits, gutenberg:NUMBER, or pypi://FILE/MEMBER."""
    text_column: str = "text"
    """The column of a table that holds the text."""
    label_column: str = "label"
    """The column of a table that holds the class."""
    classes: ClassNames | None = None
    """Names of the classes in the order of the model's outputs; without them, all labels that occur, in order. Where
    labels are numbers that count from 0 or from 1, these are the names of the classes."""
    merge_labels: bool = False
    """Whether labels that look alike or mean the same are one class, such as Neg and neg, 1 and 1.0, yes and Y; without
    it, such labels are refused unless `classes` names each."""
    skip_incomplete: bool = False
    """Whether rows of a table without a text or a label are left out; without it, such rows are refused."""
    encoding: Encoding = "utf-8"
    """How a table or text is encoded, such as cp1252, unless it begins with a byte order mark."""
    limit: Annotated[int, Field(ge=2, le=MOST_EXAMPLES)] | None = None
    """Draw so many examples before splitting, seeded and balanced as the source is; without it, all examples are
    used."""
    validation: SplitSize = 0.1
    """Examples that the run is watched on: a share of all (below 1) or a number."""
    test: SplitSize = 0.2
    """Examples that the result is measured on: a share of all (below 1) or a number."""
    splits: SplitFolders = None
    """Where a folder can be read in two ways: the folders of each split, as in {train = "training", test = ["fold4",
    "fold5"]}, or "none" where its folders are the classes, or its texts called test no split; without it, structure and
    names decide."""

    @property
    def split_folders(self) -> Mapping[Role, Sequence[str]] | Literal["none"] | None:
        """The folders of each split as lists; "none" and None as `splits` has them."""
        if self.splits is None or self.splits == "none":
            return "none" if self.splits else None
        return {split: [given] if isinstance(given, str) else given for split, given in self.splits.items()}


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
    crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    """The share of each side, from 0.01, that a random crop keeps before it is resized back; 1 crops nothing."""
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
    views: Annotated[int, Field(ge=1, le=1000)] = 4
    """Augmented views of each example that are kept where the outputs of frozen layers are, at most 1,000; epochs take
    turns at them."""

    @property
    def changes_anything(self) -> bool:
        """Whether at least one key changes examples; otherwise training sees them as they are."""
        images = self.flip != "none" or self.rotation > 0 or self.zoom > 0 or self.crop < 1 or any(self.translation)
        return images or self.token_dropout > 0 or self.word_swap > 0


class Frozen(Section):
    """How frozen layers are computed."""

    cache: bool = True
    """Whether the outputs of the frozen layers at the bottom, which no trained layer feeds, are computed once, kept on
    disk and read in each epoch, where that saves time."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The type of number in which these outputs are kept; auto is the type that they are computed in, which loses
    nothing."""
    dropout: bool = False
    """Whether dropout in frozen layers stays on; their outputs then differ from step to step and are not kept."""


class Phase(Section):
    """A stretch of training with one choice of frozen layers and one optimizer.

    Its length is `epochs` or `steps`. Moments of the former phase's optimizer are kept where it was of the same kind
    (`ftapp.training.optimizers`).
    """

    name: PhaseName
    """The name of the phase: a letter, then at most 39 letters, digits, - and _."""
    layers: list[ParsedRule] = []
    """Rules, one a line, that say which layers train; all layers train until a rule says otherwise, and later rules
    override earlier ones. For example: freeze all; train attention & last:4; train head."""
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    """How many times the phase sees all training examples, at most 10,000."""
    steps: Steps | None = None
    """How many batches the phase trains on, at most 10 million."""
    batch_size: BatchSize = 32
    """Examples of a step, at most 65,536. Memory grows with it; larger batches have a steadier gradient."""
    optimizer: Optimizer = "adam"
    """The rule that turns gradients into changes of the weights. Adam and AdamW keep two values for each weight that
    trains, the others one."""
    learning_rate: LearningRate = 1e-3
    """A number from 1e-12 to 100, or a table of numbers by selections of layers, such as
    { backbone = 1e-5, head = 1e-3, "attention & last:2" = 3e-5 }, of which later ones override earlier ones."""
    layer_decay: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    """Multiplies the rate of a layer once more for each block that lies above it, so that lower layers learn more
    slowly, from 0.01; 1 changes nothing."""
    schedule: Schedule = "constant"
    """The course of the learning rate after the warm-up: constant, or falling in a straight line or along a cosine."""
    warmup: Share = 0.0
    """The share of the phase in which the learning rate rises to its value."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How fast weights shrink towards 0, by the optimizer's own rule, from 0 to 10: regularisation."""
    clip_norm: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    """Gradients longer than this, from 1e-6 to 1e6, are shortened to it; without it, no gradient is."""
    gradient_norm: bool = False
    """Whether each step reports the length of its gradient before it is shortened; this takes some 2% of a step."""

    @property
    def rates(self) -> dict[Selections, float]:
        """The learning rates by selections of layers; later selections override earlier ones."""
        table = self.learning_rate
        return table if isinstance(table, dict) else {ALL: table}

    @property
    def base_rate(self) -> float:
        """The highest learning rate of the phase, before `layer_decay`; the other rates are relative to it."""
        return max(self.rates.values())

    @model_validator(mode="after")
    def _check_length(self) -> Phase:
        if (self.epochs is None) == (self.steps is None):
            given = "neither" if self.epochs is None else f"both, epochs = {self.epochs} and steps = {self.steps}"
            raise ValueError(f"this phase has {given}; a phase has either 'epochs' or 'steps'")
        return self


class Evaluate(Section):
    """When and on which examples the run evaluates. Its result at the end is always that of the whole test split."""

    every: Steps | None = None
    """Evaluate every so many steps; without it, after each epoch."""
    split: Split = "validation"
    """The split that is evaluated while the run trains."""
    examples: Examples | None = None
    """How many examples of the split are evaluated at most; without it, all are."""
    batch_size: BatchSize = 64
    """Examples that are evaluated together, at most 65,536; it changes time and memory, not the result."""


class Samples(Section):
    """Texts that a causal language model continues before and after the training, and at steps of it with `every`.

    With `common`, the run also measures which share of the written tokens is among so many of the most frequent tokens
    of the training text, over `draws` texts for each prompt.
    """

    prompts: Annotated[list[str], Field(min_length=1, max_length=1000)]
    """Beginnings that the model continues, at most 1,000."""
    tokens: Annotated[int, Field(ge=1, le=2**16)] = 48
    """How many tokens the model adds to each prompt, at most 65,536."""
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.8
    """How freely the model chooses, from 0.01 to 100: towards 0 always the likeliest token, above 1 less likely tokens
    more often."""
    top_k: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = 40
    """The model chooses among so many of the likeliest tokens."""
    every: Steps | None = None
    """Also take samples every so many steps."""
    common: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """Also measure which share of the written tokens is among so many of the training text's most frequent ones."""
    draws: Annotated[int, Field(ge=1, le=10_000)] = 16
    """How many texts are written for each prompt to measure that share, at most 10,000."""


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
    """A result that an experiment is expected to show, to be set beside its own result (`ftapp.analysis.findings`).

    The finding holds where the measure of `arm`, for most measures `against` another arm, lies from `at_least` to
    `at_most`.
    """

    says: str
    """The finding in words."""
    lesson: str
    """The value that was reported elsewhere, in words."""
    measure: Measure
    """The quantity that is measured."""
    arm: str
    """The arm whose quantity is measured."""
    against: str | None = None
    """The other arm that it is compared with, for differences and ratios."""
    step: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = None
    """How many steps are trained before the accuracy is measured, for accuracy-after."""
    at_least: float | None = None
    """The least value with which the finding holds."""
    at_most: float | None = None
    """The greatest value with which the finding holds."""

    @model_validator(mode="after")
    def _check_bounds(self) -> Finding:
        if self.at_least is None and self.at_most is None:
            raise ValueError("neither 'at_least' nor 'at_most' is given; a finding has one of them or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least:g} and at most {self.at_most:g}; exchange the two")
        if (self.measure in _OF_TWO_ARMS) != (self.against is not None):
            rule = (
                "is of an arm 'against' another" if self.against is None else "is of one arm alone, without 'against'"
            )
            raise ValueError(f"'{self.measure}' {rule}")
        if (self.measure == "accuracy-after") != (self.step is not None):
            given = "lacks 'step'" if self.step is None else f"takes no 'step'; got {self.step}"
            raise ValueError(f"'{self.measure}' {given}; 'step' goes with 'accuracy-after' alone")
        return self


def suits(task: str, key: str) -> bool:
    """Tell whether a key means something to a task.

    Args:
        task: The name of the task; of an unknown one, all keys mean something.
        key: The dotted key, such as "model.pooling".

    Returns:
        Whether the key has an effect with the task.
    """
    return task not in TASKS or key not in TASKS[task].foreign_keys


class Recipe(Section):
    """A resolved recipe: one job, with its profile and overrides applied."""

    title: str
    """The title of the recipe."""
    summary: str
    """What the recipe does, in a sentence or two."""
    task: TaskName
    """What the model learns: to classify images or texts, or to write on."""
    seed: Annotated[int, Field(ge=0, lt=MOST_SEEDS)] = 0
    """Decides the new layers' first weights, the splits, the order of examples and all that is random."""
    backend: Backend = "tensorflow"
    """The library that Keras computes with."""
    precision: Precision = "auto"
    """The type of number in which layers compute; auto is bfloat16 where a measurement finds that this machine
    multiplies it faster, else float32."""
    model: Model
    data: Data
    augment: Augment | None = None
    frozen: Frozen = Frozen()
    phase: Annotated[list[Phase], Field(min_length=1, max_length=100)]
    evaluate: Evaluate = Evaluate()
    samples: Samples | None = None
    finding: list[Finding] = []
    """The results that the recipe's arms are expected to show."""

    @property
    def augmentation(self) -> Augment | None:
        """The table [augment]; None where it is missing or changes nothing, which is the same."""
        return self.augment if self.augment and self.augment.changes_anything else None

    def to_tables(self) -> dict[str, Any]:
        """Return the recipe as tables of TOML, defaults included."""
        tables = self.model_dump(exclude_none=True)
        for section, _, key in (key.partition(".") for key in TASKS[self.task].foreign_keys):
            tables.get(section, {}).pop(key, None)
        if not self.finding:
            del tables["finding"]
        return tables

    def to_toml(self) -> str:
        """Write the recipe as TOML text, defaults included, that reads back to the same recipe."""
        return tomli_w.dumps(self.to_tables())


def say_too_long(wanted: int, longest: int) -> str:
    """Write the message about a sequence length beyond a model's positions.

    Args:
        wanted: The sequence length of the recipe, in tokens.
        longest: The largest number of tokens that the model reads.

    Returns:
        The message.
    """
    return f"{wanted} tokens are too many; this model reads at most {longest}"
