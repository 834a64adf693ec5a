"""The typed events of a run.

Everything that shows a run (the progress bar, the result, panes, comparisons) is made from these and nothing else.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Status = Literal["done", "failed", "interrupted", "refused"]

# What fields may hold, which is checked when they are read: a line with anything else is damaged.
Time = Annotated[float, msgspec.Meta(ge=0, le=253_370_764_800)]
"""Seconds since the Unix epoch, to the year 9999."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
"""A length of time, of three centuries at most."""
Number = Annotated[float, msgspec.Meta(ge=-1e40, le=1e40)]
"""A number that float32 can hold, so that its square fits float64."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A part of a whole."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number of things, of bytes or of operations."""
Step = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of steps."""
MetricName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""What a metric is called, such as "mean_absolute_error"."""
Several = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
"""A number of things of which there is one at least."""


class Event(msgspec.Struct, frozen=True, tag_field="event", kw_only=True, omit_defaults=True, gc=False):
    """time: seconds since the Unix epoch, at which it happened.

    gc=False: events hold no cycles, and Python's collector would walk a million of them again and again.
    """

    time: Time


class RunStarted(Event, frozen=True, kw_only=True, tag="run-started"):
    """The run began.

    device: in words; precision: the one in force; reason: what chose it.
    """

    recipe: str
    profile: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    backend: str
    device: str
    precision: str
    reason: str


class Progressed(Event, frozen=True, kw_only=True, tag="progressed"):
    """Work before and after training: a download, reading the data, saving. `total` is None when unknown."""

    activity: str
    done: Count = 0
    total: Count | None = None


class DataLoaded(Event, frozen=True, kw_only=True, tag="data-loaded"):
    """Numbers of examples (for language models: of sequences) in each split, and of duplicates that were dropped.

    counts: examples of each class in the order of `classes`, by the name of the split; empty for language models;
    notes: what was decided when the source was read, such as which folders are splits, in sentences.
    """

    train: Count
    validation: Count
    test: Count
    classes: list[str]
    duplicates: Count
    counts: dict[str, list[Count]] = {}
    notes: list[str] = []


class ModelBuilt(Event, frozen=True, kw_only=True, tag="model-built"):
    """The model was built, with its first weights.

    parameters: of the model as trained; layers: how many hold weights; digest: a hash of all first weights; pretrained:
    a hash of those that no new head holds; vocabulary: tokens that a language model chooses among, 0 for classifiers.
    """

    parameters: Count
    layers: Count
    digest: str = ""
    pretrained: str = ""
    vocabulary: Count = 0


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a step is expected to cost, each example at its largest size.

    flops: of forward and backward pass, a multiply-add counted as 2; flops_uncut: the same if the frozen layers at the
    bottom were computed in each step. In bytes: weights, gradients, the optimizer's slots, and the activations that
    are kept for the backward pass.
    """

    flops: Count
    flops_uncut: Count
    weights: Count
    gradients: Count
    optimizer: Count
    activations: Count


class CacheChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the outputs of the frozen layers at the bottom, the features, are cached, and the reason in words.

    layers: these layers, from the bottom up; size: bytes of the features of all examples of the phase.
    """

    cached: bool
    reason: str
    layers: list[str] = []
    size: Count = 0


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase-started"):
    """trainable: how many of the model's `parameters` train; first_step, steps: the phase's place in the run."""

    phase: str
    first_step: Several
    steps: Several
    epochs: Number
    trainable: Count
    parameters: Several
    trainable_layers: list[str]
    cache: CacheChoice | None = None
    estimate: Estimate | None = None


class PhaseTimed(Event, frozen=True, kw_only=True, tag="phase-timed"):
    """The estimated total time of a phase in seconds, from its first steps and the work before them."""

    phase: str
    seconds: Seconds


class CacheVerified(Event, frozen=True, kw_only=True, tag="cache-verified"):
    """Cached features of `examples` were computed anew; difference: the largest, as a share of the largest feature.

    checked: the number of examples whose features were compared with their checksums.
    """

    phase: str
    examples: Count
    difference: Number
    checked: Count = 0


class Noted(Event, frozen=True, kw_only=True, tag="noted"):
    """A problem that the run solved by itself, such as damaged files or a full disk."""

    message: str


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase-ended"):
    """The time and memory of a phase, and its freeze proof: the changes of the weights.

    seconds: total wall time, without pauses; preparing: of these, to compute features; training: for steps with their
    wait for data; evaluating: for held-out metrics. spared: the seconds saved by features that were
    cached already. memory: the most resident bytes of the process at the end of a step; others: the share of all cores'
    time that other processes used meanwhile, 0..1.
    frozen: the number of frozen weights and statistics; digest: a hash of them; changed: frozen weights that changed,
    which is a fault. moved: the number of trained weights that changed; still: trained weights that did not change;
    stuck: those of them with a gradient that is not zero, which is a fault. batches: a hash of the examples of all
    steps in their order.
    """

    phase: str
    steps: Step
    seconds: Seconds
    preparing: Seconds
    training: Seconds
    evaluating: Seconds
    spared: Seconds = 0.0
    memory: Count
    others: Number = 0.0
    frozen: Count
    digest: str
    changed: list[str] = []
    moved: Count
    still: list[str] = []
    stuck: list[str] = []
    batches: str = ""


class Stepped(Event, frozen=True, kw_only=True, tag="step", forbid_unknown_fields=True):
    """One optimizer step, counted from 1 over the whole run. loss and metrics are those of its batch.

    metrics: by name (`ftapp.recipe.metrics`), what the task measures beside the loss, which every task has.
    gradient_norm: of the gradient of all weights that train, before it is clipped; None in float16. rate: base learning
    rate (`Phase.base_rate` on its course); seconds: wall time of the step with its wait for data; memory: resident
    bytes of the process.
    """

    step: Step
    epoch: Step
    loss: Number
    metrics: dict[MetricName, Number] = {}
    gradient_norm: Number | None = None
    rate: Number
    seconds: Seconds
    memory: Count


class Evaluated(Event, frozen=True, kw_only=True, tag="evaluated", forbid_unknown_fields=True):
    """Loss and metrics of held-out examples after `step` steps. final: the result on the whole test split.

    metrics: by name (`ftapp.recipe.metrics`), what the task measures beside the loss, which every task has.
    """

    step: Step
    split: str
    examples: Count
    loss: Number
    metrics: dict[MetricName, Number] = {}
    seconds: Seconds
    final: bool = False

    @property
    def values(self) -> dict[str, float]:
        """The loss and the metrics by name."""
        return {"loss": self.loss} | {name: value for name, value in self.metrics.items() if name != "loss"}

    def value(self, name: str) -> float | None:
        """The loss or a metric; None where it was not measured."""
        return self.loss if name == "loss" else self.metrics.get(name)


class Confused(Event, frozen=True, kw_only=True, tag="confused"):
    """The confusion matrix of the evaluation in the event before.

    counts: rows are the true classes, columns the predicted ones, both in the order of `DataLoaded.classes`.
    calibration: rows of `ftapp.analysis.metrics.calibration`, empty where scores are no probabilities.
    """

    step: Step
    split: str
    counts: list[list[Count]]
    calibration: list[list[Number]] = []
    final: bool = False

    def __post_init__(self) -> None:
        if not self.counts or any(len(row) != len(self.counts) for row in self.counts):
            raise ValueError("counts are a square")
        if any(len(row) != 3 for row in self.calibration):
            raise ValueError("rows of a calibration are of three numbers")


class Drifted(Event, frozen=True, kw_only=True, tag="drifted"):
    """How far the weights of each layer that trains have gone after `step` steps, by Frobenius norms.

    Values are in the order of the phase's `trainable_layers`; all other layers stay as they were. since_start:
    ||W_t - W_0|| / ||W_0|| with W_0 from the start of the run, None where that is zero or the layer has no weights
    that the optimizer changes. last_step: ||W_t - W_(t-1)||, None where that step was not watched.
    """

    step: Step
    phase: str
    since_start: list[Number | None]
    last_step: list[Number] | None = None


class Sampled(Event, frozen=True, kw_only=True, tag="sampled"):
    """Text that the model wrote after `step` steps."""

    step: Step
    prompt: str
    text: str


class TokensShared(Event, frozen=True, kw_only=True, tag="tokens-shared"):
    """The share of common tokens in texts that the model wrote after `step` steps.

    common: so many most frequent tokens of the training text are common; shares: one for each text, all prompts' first
    ones, then all prompts' second ones and so on; None of a text without a token.
    """

    step: Step
    common: Count
    shares: list[Number | None]


class Controlled(Event, frozen=True, kw_only=True, tag="controlled"):
    """The run's answer to a command (`ftapp.runs.commands`) after `step` steps.

    id: the command's; applied: whether it was carried out; reason: why not, in words; rate: the base learning rate that
    a command asked for.
    """

    id: str
    command: str
    applied: bool
    reason: str | None = None
    step: Step
    rate: Number | None = None


class Checkpointed(Event, frozen=True, kw_only=True, tag="checkpointed"):
    """The model after `step` steps was saved while the run went on. folder: relative to the run's."""

    step: Step
    folder: str


class ModelSaved(Event, frozen=True, kw_only=True, tag="model-saved"):
    """The trained model was saved.

    folder: relative to the run's; step: how many steps the weights have behind them; flaw: why the run failed, in
    words, and empty for a run that did not fail.
    """

    folder: str
    step: Step | None = None
    flaw: str = ""


class Waited(Event, frozen=True, kw_only=True, tag="waited"):
    """The run waited for this many seconds, until its disk had space again."""

    seconds: Seconds


class RunEnded(Event, frozen=True, kw_only=True, tag="run-ended"):
    """The last event of a run that ended by itself.

    seconds: wall time without pauses; error: a message for its user; problems: of a refused recipe.
    """

    status: Status
    steps: Step
    seconds: Seconds
    error: str | None = None
    problems: list[tuple[str, str, str]] = []


AnyEvent = (
    RunStarted
    | Progressed
    | DataLoaded
    | ModelBuilt
    | PhaseStarted
    | PhaseTimed
    | CacheVerified
    | Noted
    | PhaseEnded
    | Stepped
    | Evaluated
    | Confused
    | Drifted
    | Sampled
    | TokensShared
    | Controlled
    | Checkpointed
    | ModelSaved
    | Waited
    | RunEnded
)
