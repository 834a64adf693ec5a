"""A phase of a recipe: what trains, how long, and by which optimizer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ftapp.recipe.layer_rules import Selections
from ftapp.recipe.section import Section
from ftapp.recipe.value_types import (
    ALL,
    MOST_EPOCHS,
    BatchSize,
    LearningRate,
    Optimizer,
    ParsedRule,
    PhaseName,
    Schedule,
    Share,
    Steps,
)


class Phase(Section):
    """A part of the training with one choice of frozen layers and one optimizer.

    Its length is `epochs` or `steps`. If the phase before has the same optimizer, its moments are kept
    (`ftapp.training.optimizers`).
    """

    name: PhaseName
    """The name of the phase: a letter, then at most 39 letters, digits, - and _. Letters are A-Z and a-z."""
    layers: list[ParsedRule] = []
    """Rules that say which layers train, each on a line. Everything trains until a rule says otherwise. Later rules
    override earlier ones. For example: freeze all; train attention & last:4; train head. lora:8 query, value adds
    adapters of rank 8, and train biases trains biases alone."""
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    """How many times the phase sees all training examples, at most 10,000."""
    steps: Steps | None = None
    """How many batches the phase trains on, at most 10 million."""
    batch_size: BatchSize = 32
    """Examples of a step, at most 65,536. Memory grows with it; larger batches have a steadier gradient."""
    optimizer: Optimizer = "adam"
    """The optimizer. Adam and AdamW store two values for each weight that trains, the other optimizers store one."""
    learning_rate: LearningRate = 1e-3
    """A number from 1e-12 to 100, or a table of numbers by selections of layers, such as
    { backbone = 1e-5, head = 1e-3, "attention & last:2" = 3e-5 }. Later entries override earlier ones."""
    layer_decay: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    """The factor, from 0.01 to 1, between the rates of a layer and of the layer above it. A block counts as one layer.
    Lower layers then learn more slowly. 1 changes nothing."""
    schedule: Schedule = "constant"
    """The learning rate after the warm-up: constant, linear (it falls in a straight line), or cosine."""
    warmup: Share = 0.0
    """The share of the phase in which the learning rate rises to its value."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How fast weights shrink towards 0, by the optimizer's own rule, from 0 to 10. It regularises."""
    weight_decay_on: Literal["all", "kernels"] = "all"
    """The weights that shrink: all, or only kernels and embeddings. With kernels, norms and biases do not shrink, as
    transformers are usually trained."""
    clip_norm: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    """The largest norm of a gradient, from 1e-6 to 1e6. Longer gradients are scaled down to it. Without it, no gradient
    is."""
    gradient_norm: bool = False
    """Whether each step records the norm of its gradient before clipping. This takes some 2% of a step."""
    accumulate: Annotated[int, Field(ge=1, le=10_000)] = 1
    """The number of batches, at most 10,000, whose mean gradient makes an update. A step is still one batch, so an
    update of accumulate x batch_size examples takes the memory of batch_size. The rate is that of the last batch."""
    ema: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    """The momentum, from 0.5 to below 1, of averages of the weights over the steps: after each step, an average is
    ema x average + (1 - ema) x weight. Evaluations, samples and the saved model use the averages, and the phase ends
    with them. Without it, no averages are kept."""
    swa: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The share of the phase, from 0 to below 1, after which weights are averaged, each step the same (stochastic
    weight averaging). Evaluations, samples and the saved model use the averages, as with ema."""

    @property
    def averaged_by(self) -> Literal["ema", "swa"] | None:
        """The key by which the phase averages its weights; None where it does not."""
        return "ema" if self.ema is not None else "swa" if self.swa is not None else None

    @property
    def rates(self) -> dict[Selections, float]:
        """The learning rates by selections of layers; later ones override earlier ones."""
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
