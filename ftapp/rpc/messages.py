"""What the helper processes answer: structures of models, costs of phases, previews and surveys of data, and more."""

from __future__ import annotations

import functools
from typing import Literal

import msgspec

from ftapp.recipe.layer_rules import WeightedLayer
from ftapp.runs.events import CacheChoice, Estimate

Meaning = Literal["probabilities", "one-vs-rest", "decision values"]


class Layer(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A layer that holds weights, of its own (rules decide about it then) or in layers inside of it (a container).

    path: names from the top of the model down, joined by "/"; kind: the name of its class; parameters: of its own,
    moving statistics included; trainable: those of them that the optimizer changes when the layer trains; weighted:
    whether it holds weights of its own; shape: of an example in what it puts out, None where that cannot be told;
    flops: of its own part of the forward pass for one example, None likewise; groups and block: as in
    `ftapp.recipe.layer_rules.WeightedLayer`, a container's block being that of the layers inside, None where they lie
    in several.
    """

    path: str
    kind: str
    parameters: int
    trainable: int
    weighted: bool
    shape: tuple[int, ...] | None
    flops: int | None
    groups: tuple[str, ...]
    block: int | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The path of the layer around it; "" at the top."""
        return self.path.rpartition("/")[0]


class Structure(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The layers of a model, parents before children, each group of siblings in the order of the network.

    blocks: how many repeated blocks there are; classes: how many the head tells apart, None for language models and
    where the data did not tell, and the head is drawn for two.
    """

    layers: tuple[Layer, ...]
    blocks: int
    classes: int | None

    @functools.cached_property
    def weighted(self) -> tuple[Layer, ...]:
        """The layers that rules decide about, in the order of `weighted_layers`."""
        return tuple(layer for layer in self.layers if layer.weighted)

    @functools.cached_property
    def weighted_layers(self) -> tuple[WeightedLayer, ...]:
        """What `ftapp.recipe.layer_rules.decide` takes."""
        return tuple(
            WeightedLayer(layer.path, frozenset(layer.groups), layer.block, self.blocks) for layer in self.weighted
        )

    @functools.cached_property
    def parameters(self) -> int:
        """Of the whole model, moving statistics included."""
        return sum(layer.parameters for layer in self.layers)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Measured: seconds of one training step of a phase, and of one forward pass of the whole model over its batch,
    each with the FLOPs that are estimated for it, None where Keras cannot tell shapes.
    """

    step: float
    step_flops: int | None
    forward: float
    forward_flops: int | None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What a phase costs with some rules for its layers.

    parameters, trainable: of the model, and of these those that train; estimate: FLOPs of a step and bytes of memory,
    from shapes, None where Keras cannot tell them; choice: where the model is cut and whether the features are kept,
    with the reason, None while `data_error` says why the data cannot be had, which it depends on; examples: that
    train, steps, epochs: None likewise.
    The bytes of features of texts follow from the lengths of some of the texts.
    step: seconds of a step. `measured`: a phase with just these layers was timed. `derived`: by its FLOPs, on the line
    through what was timed (`Timing`). None while nothing has been.
    """

    parameters: int
    trainable: int
    estimate: Estimate | None
    choice: CacheChoice | None
    data_error: str | None
    examples: int | None
    steps: int | None
    epochs: float | None
    step: float | None
    basis: Literal["measured", "derived"] | None


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first examples of the training split.

    text: whole, or its first characters when `characters` is more; file, size: a PNG thumbnail (RGB), and (width,
    height) of the image itself; label: the name of its class, None for language models.
    """

    label: str | None = None
    text: str | None = None
    characters: int | None = None
    file: str | None = None
    size: tuple[int, int] | None = None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's data. sizes: examples of each split, documents for language models; counts: of each split, by class
    in the order of `classes`; characters: of each split, for language models; duplicates: how many were dropped; notes:
    what was decided when the source was read, in sentences.
    """

    sizes: dict[str, int]
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    characters: dict[str, int] | None
    duplicates: int
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """How a recipe's texts look to its model.

    counts: tokens of each of the first training examples with the special ones around them, before they are cut; an
    example is cut if it has more than `length`. sequences: of each split, what a language model trains on, else None.
    """

    counts: tuple[int, ...]
    length: int
    sequences: dict[str, int] | None


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """Training images and what augmentation makes of them, as PNG files (RGB): a row for each image, the image itself
    first. The files stay until the second grid after this one. size: (width, height) of each.
    """

    rows: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    size: tuple[int, int]


Mark = Literal["", "left out", "moved"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a text. mark: whether it is left out, or in a word that has come to another's place."""

    text: str
    mark: Mark


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """A training text, as far as the model reads it, and what augmentation makes of it."""

    label: str
    before: tuple[Span, ...]
    after: tuple[Span, ...]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How well a linear classifier tells the classes apart on the features of one place of the pretrained model.

    block, layer: the block's name, and the layer of the backbone whose output was read, None of a block that lies
    inside of one; right: the share of the sample that it tells right, in cross-validation; lead: an interval for how
    much more that is than on the last block's features, (0, 0) for the last block itself.
    """

    block: str
    layer: str | None
    right: float
    lead: tuple[float, float]


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's data, and how its pretrained model's features fit them (`ftapp.analysis.transfer_probe`).

    classes: their names; counts: training examples of each; examples: of all splits together, whatever the recipe's
    limit; sample: how many of the training examples were probed; guessing: the share of them in the most frequent
    class; probes: a block each, from the bottom up, empty where the blocks cannot be read one by one; head: what a new
    classifier of texts would read, where that is not the last block's output, else None; positions: (height, width) of
    the last block's output for images, else None; notes: what was decided when the source was read, in sentences.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    examples: int
    sample: int
    guessing: float
    probes: tuple[Probe, ...]
    head: Probe | None
    positions: tuple[int, int] | None
    notes: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A run's model that is ready. no_base: why there is none from before training beside it, else None."""

    task: str
    classes: tuple[str, ...]
    head: str
    no_base: str | None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a classifier makes of an example.

    scores: by class in the order of `classes`; meaning: `probabilities` add up to 1 (softmax), `one-vs-rest` are
    probabilities of each class against all others, `decision values` are distances from the margin (linear-svm): above
    0 for the class, no probabilities. tokens: of a text, before it is cut at `length`.
    """

    classes: tuple[str, ...]
    scores: tuple[float, ...]
    meaning: Meaning
    tokens: int | None = None
    length: int | None = None

    @property
    def best(self) -> tuple[str, float]:
        """The class with the highest score, and the score."""
        return max(zip(self.classes, self.scores, strict=True), key=lambda pair: pair[1])


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """An example of the test split with what a classifier makes of it.

    text, file: the example itself, whichever it is; label: the name of its class; prediction: the model's answer.
    """

    label: str
    prediction: Prediction
    text: str | None = None
    file: str | None = None

    @property
    def found(self) -> str:
        """The class that the model takes it for."""
        return self.prediction.best[0]

    @property
    def is_right(self) -> bool:
        return self.found == self.label


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """A continuation.

    text: without the prompt; tokens: how many were written; seconds: what they took, with the reading of the prompt;
    ended: whether the model wrote its end token; limit: how many tokens the model reads in all, None for any number.
    """

    text: str
    tokens: int
    seconds: float
    ended: bool
    limit: int | None
