"""How well a pretrained model's features fit some data: the facts that `ftapp.analysis.advice` chooses a strategy by.

What a model was pretrained on is not at hand, so nothing is compared with it. Instead a linear classifier is trained on
the features of each block in turn (linear probes: Alain and Bengio 2016, Understanding intermediate layers using linear
classifier probes). The further a task is from that of the pretraining, the earlier lie the features that serve it best
(Azizpour et al. 2016, Factors of Transferability for a Generic ConvNet Representation; Yosinski et al. 2014, How
transferable are features in deep neural networks?).

The features are each block's output averaged over its positions or tokens; the classifier is ridge regression, its
penalty chosen inside of each of five folds. All blocks see the same examples in the same folds, so their differences
are those of matched pairs, with intervals by Agresti and Min (2005, Simple improved confidence intervals for comparing
matched proportions).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError
from ftapp.data import Splits, Subset
from ftapp.data.dataset import EncodedDataset
from ftapp.data.encoded import Images, LabelledTexts
from ftapp.data.order import order_evaluation
from ftapp.models.keras_internals import operation_of
from ftapp.models.layers import block_ends, inner_blocks
from ftapp.recipe import TASKS, Recipe
from ftapp.rpc.messages import Probe, Survey

FOLDS = 5
# Examples: a lead of two or three points can be told from chance, and VGG16 reads them in a minute or two.
_SAMPLE = 500
_OF_EACH = 10  # of each class at least, where it has as many
_AT_ONCE = 32
_RISK = 0.05  # that any of the blocks is found to lead, or to lag, by chance
_PENALTIES = np.logspace(-1, 5, 7)

Flags = NDArray[np.bool_]


def survey_data(recipe: Recipe, backbone: Any, preprocessor: Any, splits: Splits, progress: Progress) -> Survey:
    """Measure a classification's training split. The same for the same data, model, seed and machine.

    Raises RecipeError when fewer than two classes have five training examples.
    """
    chosen = _draw_sample(splits)
    labels = chosen.labels
    read = _read_features(recipe, backbone, preprocessor, chosen, progress)
    right: dict[str, Flags] = {}
    for number, (name, (_, values)) in enumerate(read.items()):
        progress("telling the classes apart by each block's features", number, len(read))
        right[name] = _classify(values, labels, recipe.seed)
    blocks = [name for name in read if name]
    last = blocks[-1] if blocks else ""

    def probe(name: str) -> Probe:
        lead = _estimate_lead(right[name], right[last], max(1, len(blocks) - 1)) if name != last else (0.0, 0.0)
        layer = read[name][0]
        return Probe(block=name, layer=layer and layer.name, right=float(right[name].mean()), lead=lead)

    layer = read[last][0] if blocks else None
    shape: tuple[Any, ...] = layer.output.shape if layer else ()
    counts = np.bincount(splits.train.labels, minlength=len(splits.classes))
    return Survey(
        classes=splits.classes,
        counts=tuple(int(count) for count in counts),
        examples=len(splits.train) + len(splits.validation) + len(splits.test),
        sample=len(chosen),
        guessing=float(np.bincount(labels).max() / len(labels)),
        probes=tuple(map(probe, blocks)),
        head=probe("") if "" in read else None,
        positions=(int(shape[1]), int(shape[2])) if len(shape) == 4 else None,
        notes=splits.notes,
    )


def _draw_sample(splits: Splits, size: int = _SAMPLE) -> Subset:
    """Some of the training examples, as many of each class as there are, up to a limit. Very rare classes are left out.

    A subset is in random order, so the first of a class are a sample of it.
    """
    labels = splits.train.labels
    counts = np.bincount(labels, minlength=len(splits.classes))
    enough = np.flatnonzero(counts >= FOLDS)
    if len(enough) < 2:
        listed = ", ".join(f"'{name}' has {count}" for name, count in zip(splits.classes[:10], counts, strict=False))
        message = f"advice takes two classes or more with {FOLDS} examples each beside those held out; {listed}"
        raise RecipeError([Problem("", "data.source", message)])
    most = max(_OF_EACH, size // len(enough))
    positions = np.sort(np.concatenate([np.flatnonzero(labels == number)[:most] for number in enough]))
    return Subset(splits.train.examples, splits.train.indices[positions])


def _read_features(
    recipe: Recipe, backbone: Any, preprocessor: Any, chosen: Subset, progress: Progress
) -> dict[str, tuple[Any, NDArray[np.float32]]]:
    """The layer and the features (examples, width) of each block, and under "" of what a classifier of texts reads.

    The layer is None of a block that the backbone does not call itself, but a layer of it does.
    """
    # A few families' blocks put out several tensors, and are not read.
    ends = {name: layer for name, layer in block_ends(backbone).items() if hasattr(layer.output, "shape")}
    outputs = {name: _average_output(layer, backbone) for name, layer in ends.items()}
    whole = backbone.output
    if isinstance(whole, Mapping) and "pooled_output" in whole and ends:
        ends[""] = operation_of(whole["pooled_output"])
        outputs[""] = whole["pooled_output"]
    inner = {} if ends else inner_blocks(backbone)
    if not outputs and not inner:
        return {}
    model = _Inside(backbone, inner) if inner else keras.Model(backbone.input, outputs)
    encoded: EncodedDataset
    if TASKS[recipe.task].inputs == "images":
        encoded = Images(chosen, preprocessor, None)
    else:
        encoded = LabelledTexts(chosen, preprocessor)
    features: dict[str, NDArray[np.float32]] = {}
    done = 0
    for batch in order_evaluation(len(chosen), _AT_ONCE, None, recipe.seed, encoded.lengths):
        progress("computing the features of a sample", done, len(chosen))
        made = model.predict_on_batch(encoded.make_inputs(np.resize(batch, _AT_ONCE), None))
        for name, values in made.items():
            rows = features.setdefault(name, np.zeros((len(chosen), values.shape[-1]), np.float32))
            rows[batch] = values[: len(batch)]
        done += len(batch)
    order = model.order if isinstance(model, _Inside) else outputs
    return {name: (ends.get(name), features[name]) for name in order}


class _Inside(keras.Model):
    """A backbone that gives the averaged output of blocks inside of its layers, by the blocks' paths.

    order: these paths as they are called; empty before. Blocks that put out several tensors are left out.
    """

    def __init__(self, backbone: Any, blocks: Mapping[str, Any]) -> None:
        super().__init__(name="inside")
        self._backbone, self._blocks = backbone, dict(blocks)
        self.order: list[str] = []

    def call(self, inputs: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def noted(name: str, former: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                found[name] = former(*args, **kwargs)
                return found[name]

            return call

        try:
            for name, block in self._blocks.items():
                block.call = noted(name, block.call)
            self._backbone(inputs, training=False)
        finally:
            for block in self._blocks.values():
                block.__dict__.pop("call", None)
        read = {name: output for name, output in found.items() if len(getattr(output, "shape", ())) in (3, 4)}
        self.order = list(read)
        return {
            name: keras.ops.mean(keras.ops.cast(output, "float32"), axis=tuple(range(1, len(output.shape) - 1)))
            for name, output in read.items()
        }


def _average_output(layer: Any, backbone: Any) -> Any:
    """A block's output (batch, height, width, channels) or (batch, tokens, width) as (batch, width), float32."""
    name = f"average_{layer.name}"  # Keras counts names by threads, and this may be another one than built the backbone
    if len(layer.output.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(dtype="float32", name=name)(layer.output)
    mask = backbone.input.get("padding_mask") if isinstance(backbone.input, Mapping) else None
    return keras.layers.GlobalAveragePooling1D(dtype="float32", name=name)(layer.output, mask=mask)


def _classify(features: NDArray[np.float32], labels: NDArray[np.int32], seed: int) -> Flags:
    """Which examples a linear classifier tells right that was trained without them."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(_PENALTIES))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    is_right: Flags = cross_val_predict(classifier, features.astype(np.float64), labels, cv=folds) == labels
    return is_right


def _estimate_lead(one: Flags, other: Flags, comparisons: int) -> tuple[float, float]:
    """An interval for how much larger a share of the same examples is told right by one than by the other.

    Each of its ends holds for all of so many comparisons together, but for a risk of 5% (Bonferroni).
    """
    wins, losses, size = int((one & ~other).sum()), int((other & ~one).sum()), len(one) + 2
    middle = (wins - losses) / size
    reach = stats.norm.isf(_RISK / comparisons) * np.sqrt(wins + losses + 1 - (wins - losses) ** 2 / size) / size
    return float(max(-1.0, middle - reach)), float(min(1.0, middle + reach))
