"""The events of a phase: how it was prepared, its steps, what was measured of them, and its proof."""

from __future__ import annotations

import msgspec

from ftapp.runs.event_types import Count, Event, MetricName, Number, Seconds, Several, Share, Step


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The expected costs of a step, each example at its largest size.

    Attributes:
        flops: Operations of forward and backward pass, a multiply-add counted as 2.
        flops_uncut: The same if the frozen layers at the bottom were computed in each step.
        weights: Bytes of the weights on each device.
        gradients: Bytes of the gradients on each device.
        optimizer: Bytes of the optimizer's slots on each device.
        activations: Bytes of the activations that each device keeps for the backward pass.
        devices: The number of devices.
    """

    flops: Count
    flops_uncut: Count
    weights: Count
    gradients: Count
    optimizer: Count
    activations: Count
    devices: Count = 1

    @property
    def memory(self) -> int:
        """Bytes on each device."""
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def where(self) -> str:
        """Where the memory is, as the end of a sentence; "" for one device."""
        return f" on each of {self.devices} devices" if self.devices > 1 else ""


class QuantizationCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of int8 features with float ones, before they are used (`ftapp.freezing.quantize`).

    Attributes:
        calibrated: The training examples on which the ranges of activations were measured.
        checked: The other training examples on which the features were compared.
        cosine: The mean cosine between both, by the name of the feature.
        error: The norm of the difference as a share of the norm of the float features, by the name of the feature.
        agreement: The share of equal answers of a linear classifier.
        accepted: Whether the features are used.
        seconds: Wall time of quantization and check.
    """

    calibrated: Count
    checked: Count
    cosine: dict[str, Number]
    error: dict[str, Number]
    agreement: Share
    accepted: bool
    seconds: Seconds


class CacheChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The choice whether the outputs of the frozen layers at the bottom, the features, are cached.

    Attributes:
        cached: Whether they are.
        reason: The reason, in words.
        layers: These layers, from the bottom up.
        size: The bytes of the features of all examples of the phase; 0 where features are not worth caching.
        engine: The library that computes them: keras, or openvino.
        engine_reason: Why it is not the engine that the recipe names, in words; empty where it is.
        quantization: The check of int8 features; None where the recipe asks for none.
    """

    cached: bool
    reason: str
    layers: list[str] = []
    size: Count = 0
    engine: str = "keras"
    engine_reason: str = ""
    quantization: QuantizationCheck | None = None

    @property
    def is_quantized(self) -> bool:
        """Whether int8 arithmetic computes the features."""
        return self.cached and self.quantization is not None and self.quantization.accepted


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase-started"):
    """A phase began.

    Attributes:
        phase: The name of the phase.
        first_step: Its first step, counted from 1 over the whole run.
        steps: How many steps it has.
        epochs: How many epochs these are.
        trainable: How many of the model's parameters train.
        parameters: How many parameters the model has.
        trainable_layers: The paths of the layers that train.
        cache: Whether the outputs of frozen layers are kept.
        estimate: The expected costs of a step; None where Keras cannot tell shapes.
        adapters: How many of the parameters that train are those of adapters (LoRA).
    """

    phase: str
    first_step: Several
    steps: Several
    epochs: Number
    trainable: Count
    parameters: Several
    trainable_layers: list[str]
    cache: CacheChoice | None = None
    estimate: Estimate | None = None
    adapters: Count = 0


class PhaseTimed(Event, frozen=True, kw_only=True, tag="phase-timed"):
    """The total time of a phase was estimated from its first steps and the work before them.

    Attributes:
        phase: The name of the phase.
        seconds: The estimated total time.
    """

    phase: str
    seconds: Seconds


class CacheVerified(Event, frozen=True, kw_only=True, tag="cache-verified"):
    """Cached features were computed anew and compared.

    Attributes:
        phase: The name of the phase.
        examples: The number of examples whose features were computed anew.
        difference: The largest difference, as a share of the largest feature.
        checked: The number of examples whose features were compared with their checksums.
    """

    phase: str
    examples: Count
    difference: Number
    checked: Count = 0


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase-ended", forbid_unknown_fields=True):
    """The time and memory of a phase, and the freeze proof of its last segment: the changes of the weights.

    Attributes:
        phase: The name of the phase.
        steps: How many steps it made.
        seconds: Total wall time, without pauses.
        preparing: Of these, the seconds to compute features.
        training: Of these, the seconds of steps with their wait for data.
        evaluating: Of these, the seconds of held-out metrics.
        seconds_saved: The seconds saved by features that were cached already.
        memory: The most resident bytes of the process at the end of a step.
        others: The share of all cores' time that other processes used meanwhile, 0..1.
        frozen: How many weights and statistics were frozen.
        digest: A hash of these.
        changed: Frozen weights that changed, which is a fault.
        moved: How many trained weights changed.
        still: Trained weights that did not change.
        stuck: Those among these with a gradient that is not zero, which is a fault.
        batches: A hash of the examples of all steps in their order.
        stopped: Why it ended before its last step, in words; empty where no lack of improvement has ended it.
    """

    phase: str
    steps: Step
    seconds: Seconds
    preparing: Seconds
    training: Seconds
    evaluating: Seconds
    seconds_saved: Seconds = 0.0
    memory: Count
    others: Number = 0.0
    frozen: Count
    digest: str
    changed: list[str] = []
    moved: Count
    still: list[str] = []
    stuck: list[str] = []
    batches: str = ""
    stopped: str = ""


class Stepped(Event, frozen=True, kw_only=True, tag="step", forbid_unknown_fields=True):
    """One optimizer step.

    Attributes:
        step: Its number, counted from 1 over the whole run.
        epoch: The epoch of its phase.
        loss: The loss of its batch.
        metrics: The metrics of its batch beside the loss, by name (`ftapp.recipe.metrics`).
        gradient_norm: The norm of the gradient of all weights that train, before it is clipped; None where it is not
            measured.
        rate: The base learning rate (`Phase.base_rate` on its course).
        seconds: Wall time of the step with its wait for data.
        memory: Resident bytes of the process.
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
    """Held-out examples were evaluated.

    Attributes:
        step: How many steps were made before.
        split: The split that was evaluated.
        examples: How many examples of it.
        loss: Their loss.
        metrics: Their metrics beside the loss, by name (`ftapp.recipe.metrics`).
        seconds: Wall time of the evaluation.
        final: Whether this is the result on the whole test split.
        quantized: The loss and metrics of the same examples on int8 features, by name, beside a result that is of the
            float model; empty where no features are int8.
    """

    step: Step
    split: str
    examples: Count
    loss: Number
    metrics: dict[MetricName, Number] = {}
    seconds: Seconds
    final: bool = False
    quantized: dict[MetricName, Number] = {}

    @property
    def values(self) -> dict[str, float]:
        """The loss and the metrics by name."""
        return {"loss": self.loss} | {name: value for name, value in self.metrics.items() if name != "loss"}

    def value(self, name: str) -> float | None:
        """The loss or a metric; None where it was not measured."""
        return self.loss if name == "loss" else self.metrics.get(name)


class Confused(Event, frozen=True, kw_only=True, tag="confused"):
    """The confusion matrix of the evaluation in the event before.

    Attributes:
        step: How many steps were made before.
        split: The split that was evaluated.
        counts: How often each class was predicted for each; rows are the true classes, columns the predicted ones, both
            in the order of `DataLoaded.classes`.
        calibration: Rows of `ftapp.analysis.metrics.calibration`; empty where scores are no probabilities.
        final: Whether this is the result on the whole test split.
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


class SegmentProof(msgspec.Struct, frozen=True, kw_only=True):
    """The freeze proof of a segment that ended within its phase. Fields are as in `PhaseEnded`.

    Attributes:
        steps: How many steps the segment made.
    """

    steps: Step
    frozen: Count
    digest: str
    changed: list[str] = []
    moved: Count
    still: list[str] = []
    stuck: list[str] = []


class LayersChanged(Event, frozen=True, kw_only=True, tag="layers-changed"):
    """Layers were frozen or thawed by commands: a new segment of the phase begins.

    Attributes:
        phase: The name of the phase.
        step: How many steps of the run were made before.
        rules: The commanded rules that are in force from now to the end of the phase.
        trainable: How many of the model's parameters train.
        trainable_layers: The paths of the layers that train.
        cache: Whether the outputs of frozen layers are kept.
        estimate: The expected costs of a step; None where Keras cannot tell shapes.
        proof: The freeze proof of the segment before.
        adapters: As in `PhaseStarted`.
    """

    phase: str
    step: Step
    rules: list[str]
    trainable: Count
    trainable_layers: list[str]
    cache: CacheChoice | None = None
    estimate: Estimate | None = None
    proof: SegmentProof
    adapters: Count = 0


class Drifted(Event, frozen=True, kw_only=True, tag="drifted", forbid_unknown_fields=True):
    """The drift of the weights of each layer that trains, by Frobenius norms and by the layer's path.

    All other layers stay as they were.

    Attributes:
        step: How many steps were made before.
        phase: The name of the phase.
        since_start: ||W_t - W_0|| / ||W_0|| with W_0 from the start of the run; None where that is zero or the layer
            has no weights that the optimizer changes.
        last_step: ||W_t - W_(t-1)||; None where that step was not watched.
    """

    step: Step
    phase: str
    since_start: dict[str, Number | None]
    last_step: dict[str, Number] | None = None


class Sampled(Event, frozen=True, kw_only=True, tag="sampled"):
    """The model wrote a text.

    Attributes:
        step: How many steps were made before.
        prompt: The beginning that it continued.
        text: The continuation.
    """

    step: Step
    prompt: str
    text: str


class TokensShared(Event, frozen=True, kw_only=True, tag="tokens-shared"):
    """The share of common tokens was measured in texts that the model wrote.

    Attributes:
        step: How many steps were made before.
        common: How many of the most frequent tokens of the training text are common.
        shares: A share for each text, all prompts' first texts, then all prompts' second texts and so on; None for a
            text without a token.
    """

    step: Step
    common: Count
    shares: list[Number | None]
