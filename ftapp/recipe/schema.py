"""The schema of a recipe: its tables, their keys, and the values that each key takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, model_validator

from ftapp.recipe.data_schema import Augment, Balance, Data
from ftapp.recipe.measures import MEASURES, MeasureName
from ftapp.recipe.phase_schema import Phase
from ftapp.recipe.section import Section
from ftapp.recipe.sweep_schema import Sweep
from ftapp.recipe.tasks import TASKS, Head, KeptMetric, TaskName, WatchedMetric
from ftapp.recipe.track_schema import Track
from ftapp.recipe.value_types import (
    MOST_DEVICES,
    MOST_PIXELS,
    MOST_SEEDS,
    MOST_STEPS,
    MOST_TOKENS,
    MOST_UNITS,
    Backend,
    BatchSize,
    Examples,
    Parallel,
    Pooling,
    Precision,
    PresetUri,
    Share,
    Split,
    Steps,
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
    """The layer of the backbone whose output feeds the head. Without it, the backbone's own output feeds the head."""
    pooling: Pooling = "average"
    """How the positions of the features become one vector: their average, their maximum, or all of them in a row.
    Models with a class token, such as ViT and DINOv2, have learned to sum up the image there: that token is taken."""
    normalize: bool = False
    """Whether each feature gets mean 0 and variance 1 before the new layers, so that one learning rate suits any layer.
    This is batch normalization without an affine part (He et al. 2022, Masked Autoencoders, appendix A.1). Mean and
    variance are measured on the training split, once before the first step, at any batch size."""
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=MOST_UNITS)]], Field(max_length=16)] = []
    """Widths of new fully connected ReLU layers between the backbone and the classifier: at most 16 layers, with widths
    from 1 to 65,536."""
    dropout: Share = 0.0
    """The share of the classifier's inputs that training drops at random."""
    head: Head = "softmax"
    """The last layer. For one class of all: softmax, one-vs-rest (a logistic unit for each class against all others),
    or linear-svm (hinge loss, a wide margin). For several labels: one-vs-rest, or linear-svm. For a number: linear.
    Without it, the first of these."""
    label_smoothing: Share = 0.0
    """The share of each training label that is spread evenly over all classes (Szegedy et al. 2016). It
    regularises: the model becomes less confident. Held-out losses do not use it."""


class Frozen(Section):
    """How frozen layers are computed."""

    cache: bool = True
    """Whether the outputs of the frozen layers at the bottom of the model, the features, are computed once and cached
    on disk. Each epoch then reads them. They are cached only where that saves time."""
    engine: Literal["keras", "openvino"] = "keras"
    """The library that computes cached features: the run's own backend, or OpenVINO on the processor. OpenVINO needs
    pip install 'ftapp[openvino]'."""
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """The dtype of cached features. auto is the dtype in which they are computed, which loses nothing. int8 is the
    arithmetic that computes them, with engine = openvino; they are then stored as with auto."""
    dropout: bool = False
    """Whether dropout in frozen layers stays on. Their outputs then differ from step to step and are not cached."""

    @property
    def stored_dtype(self) -> Literal["auto", "float32", "bfloat16", "float16"]:
        """The type of cached features on disk. The layers above read floats, so int8 features are stored as floats."""
        return "auto" if self.dtype == "int8" else self.dtype


class Evaluate(Section):
    """When the run evaluates, and on which examples. The final result is always that of the whole test split."""

    every: Steps | None = None
    """Evaluate after every N steps. Without it, the run evaluates after each epoch."""
    split: Split = "validation"
    """The split that is evaluated while the run trains."""
    examples: Examples | None = None
    """The largest number of examples of the split to evaluate. Without it, all of them are evaluated."""
    batch_size: BatchSize = 64
    """The number of examples in one batch of an evaluation, at most 65,536. It changes time and memory, not the
    result."""
    keep_worst: Annotated[int, Field(ge=0, le=1000)] = 20
    """The number of test examples with the highest losses, at most 1,000, whose text or picture the run keeps for its
    report. With 0, the run keeps none. It notes place, answer and loss of each test example in any case."""


class StopRule(Section):
    """When a phase ends before its last step, since evaluations bring no improvement any more.

    Each phase counts anew, from its first evaluation. The next phase then begins, with the best weights so far unless
    `keep.best` is none. Learning-rate schedules are laid over the planned length of the phase.
    """

    metric: WatchedMetric = "loss"
    """The metric of the evaluations that is watched: loss, or another metric of the task, such as accuracy."""
    patience: Annotated[int, Field(ge=1, le=10_000)]
    """How many evaluations in a row without an improvement end the phase, at most 10,000."""
    min_delta: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """By how much more than this a metric has to be better, to count as an improvement."""


class Keep(Section):
    """With which weights the run ends. Without this table they are those of its last step.

    With [stop], they are the best ones by its metric, unless this table says otherwise.
    """

    best: KeptMetric
    """The metric of the evaluations by which weights are the best: loss, or another metric of the task, such as
    accuracy. With none, the run ends with the weights of its last step."""


class Checkpoints(Section):
    """When the state of the training is saved, from which a run that was killed or stopped goes on.

    It is also saved at the end of each phase, and where the run is asked to end.
    """

    every_seconds: Annotated[float, Field(ge=1, le=1e7)] = 300.0
    """Save the state every so many seconds, from 1; less often where the training would stand still for over 1% of its
    time."""
    every_steps: Steps | None = None
    """Also save it every so many steps of the run."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 2
    """How many of the newest states are kept, at most 10,000. A state takes up to 12 bytes for each weight that trains,
    with Adam, and 4 more where the best weights are kept."""


class Samples(Section):
    """Texts that a causal language model continues before and after the training, and during it with `every`.

    With `common`, the run also measures how many of the generated tokens are common tokens of the training text. This
    share is taken over `draws` texts for each prompt.
    """

    prompts: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    """Beginnings that the model continues, at most 1,000. The template of completion data is put around them, and
    without them, the model continues three prompts of the split that the run is watched on."""
    tokens: Annotated[int, Field(ge=1, le=2**16)] = 48
    """How many tokens the model adds to each prompt, at most 65,536."""
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.8
    """The sampling temperature, from 0.01 to 100. Near 0 the model always takes the most probable token. Above 1
    it takes less probable tokens more often."""
    top_k: Annotated[int, Field(ge=1, le=MOST_TOKENS)] = 40
    """The model samples from this many of the most probable tokens."""
    every: Steps | None = None
    """Also write samples after every N steps."""
    common: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """The number N of common tokens. The run also measures which share of the generated tokens is among the N most
    frequent tokens of the training text."""
    draws: Annotated[int, Field(ge=1, le=10_000)] = 16
    """The number of texts for each prompt over which `common` is measured, at most 10,000."""


class Finding(Section):
    """A result that an experiment is expected to show (`ftapp.analysis.findings`).

    A finding holds where the whole interval of its measure lies between `at_least` and `at_most`. Most measures compare
    `arm` with another arm, `against`.
    """

    says: str
    """The finding in words."""
    lesson: str
    """The value that the lesson reports, in words."""
    measure: MeasureName
    """The measure of the finding. METRIC is the difference of a metric of the test split, and METRIC-after is the
    metric of the held-out examples after `step`."""
    arm: str
    """The arm that is measured."""
    against: str | None = None
    """The other arm, for differences and ratios."""
    step: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = None
    """The step after which a measure such as `accuracy-after` is taken."""
    at_least: float | None = None
    """The lower bound."""
    at_most: float | None = None
    """The upper bound."""

    @model_validator(mode="after")
    def _check_bounds(self) -> Finding:
        if self.at_least is None and self.at_most is None:
            raise ValueError("neither 'at_least' nor 'at_most' is given; a finding has one of them or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"nothing is at least {self.at_least:g} and at most {self.at_most:g}; exchange the two")
        measure = MEASURES[self.measure]
        if measure.compares != (self.against is not None):
            rule = (
                "is of an arm 'against' another" if self.against is None else "is of one arm alone, without 'against'"
            )
            raise ValueError(f"'{self.measure}' {rule}")
        if measure.at_step != (self.step is not None):
            given = "lacks 'step'" if self.step is None else f"takes no 'step'; got {self.step}"
            rule = "'step' goes with measures such as 'accuracy-after' alone"
            raise ValueError(f"'{self.measure}' {given}; {rule}")
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
    """The name of the recipe in lists and reports."""
    summary: str
    """What the recipe does, in a sentence or two."""
    task: TaskName
    """What the model learns of an image or a text: its class (image-classification), several labels
    (image-multi-label), or a number (image-regression); or to continue texts (causal-lm), or prompts by their
    completions (completion-lm)."""
    seed: Annotated[int, Field(ge=0, lt=MOST_SEEDS)] = 0
    """The seed of the new layers' initial weights, the splits, the order of examples, and every other random choice."""
    backend: Backend = "tensorflow"
    """The library that Keras computes with."""
    precision: Precision = "auto"
    """The dtype in which layers compute. auto is bfloat16 if a probe on this machine finds it faster, else float32."""
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] = 1
    """The number of devices that train together, on backend = "jax"."""
    parallel: Parallel = "data"
    """What several devices share: data, each batch, where each device has all weights; or model, the large weights of
    Gemma, Llama and Qwen, where each device computes its part of the whole batch."""
    model: Model
    data: Data
    augment: Augment | None = None
    balance: Balance = Balance()
    frozen: Frozen = Frozen()
    phase: Annotated[list[Phase], Field(min_length=1, max_length=100)]
    """The phases of the training, in order."""
    evaluate: Evaluate = Evaluate()
    stop: StopRule | None = None
    keep: Keep | None = None
    checkpoint: Checkpoints = Checkpoints()
    samples: Samples | None = None
    track: Track = Track()
    sweep: Sweep | None = None
    finding: list[Finding] = []
    """Results that the recipe's arms are expected to show."""

    @model_validator(mode="before")
    @classmethod
    def _choose_head(cls, raw: Any) -> Any:
        """Choose the usual head of the task where the recipe names none."""
        if not isinstance(raw, dict) or not isinstance(raw.get("model"), dict) or "head" in raw["model"]:
            return raw
        task = TASKS.get(raw["task"]) if isinstance(raw.get("task"), str) else None
        if task is None or not task.heads or task.heads[0] == Model.model_fields["head"].default:
            return raw
        return {**raw, "model": {**raw["model"], "head": task.heads[0]}}

    @property
    def augmentation(self) -> Augment | None:
        """The augmentation; None if [augment] is missing or changes nothing."""
        return self.augment if self.augment and self.augment.changes_anything else None

    @property
    def kept_metric(self) -> str | None:
        """The metric whose best weights the run ends with; None where it ends with those of its last step."""
        best = self.keep.best if self.keep else self.stop.metric if self.stop else "none"
        return None if best == "none" else best

    def render_prompt(self, prompt: str) -> str:
        """Render a prompt as the model of the task takes it: in the template of completion data, else as it is."""
        return self.data.prompt_template.render_prompt(prompt) if self.has_template else prompt

    @property
    def has_template(self) -> bool:
        """Whether prompts are put into a template (`data.template`)."""
        return suits(self.task, "data.template")

    def to_tables(self) -> dict[str, Any]:
        """Return the recipe as tables of TOML, defaults included."""
        tables = self.model_dump(exclude_none=True)
        for section, _, key in (key.partition(".") for key in TASKS[self.task].foreign_keys):
            tables.get(section, {}).pop(key, None)
        tables = {name: table for name, table in tables.items() if table != {}}
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
