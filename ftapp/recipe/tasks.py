"""The tasks that a model is fine-tuned for, a row each: what a task reads, learns, is measured by and goes with.

The rest of the program asks the row and not for the task's name. What a row names is found where its libraries are:
losses and metrics in `ftapp.models.heads`, preprocessors in `ftapp.models.build`, readers and splitters in
`ftapp.data`. A new task is one more row, and a function for each thing that it names and no other task does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ftapp.recipe.metrics import ACCURACY, AUC, LOSS, MACRO_F1, Metric

TaskName = Literal["image-classification", "text-classification", "causal-lm"]
Head = Literal["softmax", "one-vs-rest", "linear-svm"]
SourceKind = Literal["files", "images", "rows", "texts", "any"]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        title: What lists of tasks call it.
        inputs: What an example is.
        labels: What the model predicts: the class of an example, or each next token.
        example: What an example of training is called, one of them.
        hub_name: What model hubs call the task.
        preprocessor: The stem of KerasHub's names for it, as in `image_classifier_preprocessor.py`.
        sources: Kinds of data sources that serve it (`ftapp.recipe.sources`).
        splitter: How data are split: labelled examples with each class in proportion, or the texts of documents.
        heads: New classifiers that suit it; none where the pretrained model keeps its own.
        losses: The name of the loss for each head; under None for the head of the pretrained model itself.
        metrics: What is measured of batches beside the loss, the most important one first.
        confuses: Whether it is counted which class is taken for which.
        writes: Whether the model writes text, so that a run can take samples.
        augmentations: The keys of [augment] that suit it, beside those that suit any augmentation.
    """

    title: str
    inputs: Literal["images", "texts"]
    labels: Literal["classes", "tokens"]
    example: str
    hub_name: str
    preprocessor: str
    sources: tuple[SourceKind, ...]
    splitter: Literal["stratified", "documents"]
    heads: tuple[Head, ...]
    losses: Mapping[Head | None, str]
    metrics: tuple[Metric, ...]
    confuses: bool = False
    writes: bool = False
    augmentations: tuple[str, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether examples come with labels; the tokens of a text are labels of their own."""
        return self.labels != "tokens"

    @property
    def held_out_metrics(self) -> tuple[Metric, ...]:
        """What an evaluation measures, the loss first. Macro F1 and AUC are made of the answers to all examples."""
        return (LOSS, *self.metrics, *([MACRO_F1, AUC] if self.confuses else []))

    @property
    def size_key(self) -> str:
        """The key of [model] that says how large an input is."""
        return "image_size" if self.inputs == "images" else "sequence_length"

    @property
    def foreign_keys(self) -> tuple[str, ...]:
        """The keys of a recipe that mean nothing to this task, such as "model.pooling"."""
        model = [key for kind, keys in _OF_INPUTS.items() if kind != self.inputs for key in keys]
        augment = [key for key in (*_OF_IMAGES, *_OF_TEXTS, *_MIXING) if key not in self.augmentations]
        return (
            *(f"model.{key}" for key in (*model, *(() if self.heads else _OF_HEADS))),
            *(f"augment.{key}" for key in augment),
            *(f"balance.{key}" for key in _OF_CLASSES if self.labels != "classes"),
            *(["data.image_column"] if self.inputs == "texts" else []),
            *([] if self.is_labelled else ["data.order_column", "data.conflicts"]),
        )


_OF_INPUTS = {"images": ("image_size", "features", "pooling"), "texts": ("sequence_length",)}
_OF_HEADS = ("normalize", "hidden", "dropout", "head", "label_smoothing")
_OF_CLASSES = ("class_weights", "focal_gamma", "sampling")
_OF_IMAGES = (
    "flip",
    "rotation",
    "zoom",
    "crop",
    "translation",
    "fill_mode",
    "fill_value",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "blur",
    "erasing",
    "rand_augment",
)
_OF_TEXTS = ("token_dropout", "word_swap")
_MIXING = ("mixup", "cutmix")  # labels too, which are then shares of classes
_CLASSIFIERS: tuple[Head, ...] = ("softmax", "one-vs-rest", "linear-svm")
_OF_CLASSIFIERS: dict[Head | None, str] = {
    "softmax": "categorical-crossentropy",
    "one-vs-rest": "binary-crossentropy",
    "linear-svm": "hinge",
}

TASKS: Mapping[str, Task] = {
    "image-classification": Task(
        title="Image classification",
        inputs="images",
        labels="classes",
        example="example",
        hub_name="image-classification",
        preprocessor="image_classifier",
        sources=("files", "images", "rows", "any"),
        splitter="stratified",
        heads=_CLASSIFIERS,
        losses=_OF_CLASSIFIERS,
        metrics=(ACCURACY,),
        confuses=True,
        augmentations=(*_OF_IMAGES, *_MIXING),
    ),
    "text-classification": Task(
        title="Text classification",
        inputs="texts",
        labels="classes",
        example="example",
        hub_name="text-classification",
        preprocessor="text_classifier",
        sources=("rows", "files", "any"),
        splitter="stratified",
        heads=_CLASSIFIERS,
        losses=_OF_CLASSIFIERS,
        metrics=(ACCURACY,),
        confuses=True,
        augmentations=_OF_TEXTS,
    ),
    "causal-lm": Task(
        title="Causal language models",
        inputs="texts",
        labels="tokens",
        example="sequence",
        hub_name="text-generation",
        preprocessor="causal_lm",
        sources=("texts", "rows", "any"),
        splitter="documents",
        heads=(),
        losses={None: "token-crossentropy"},
        metrics=(),
        writes=True,
    ),
}
"""The tasks by the name that a recipe gives, which `TaskName` lists for the recipe's schema."""

if TYPE_CHECKING:
    WatchedMetric = str
    KeptMetric = str
else:
    WatchedMetric = Literal[tuple(metric.name for task in TASKS.values() for metric in task.held_out_metrics)]
    KeptMetric = Literal[WatchedMetric, "none"]


def get_title(name: str) -> str:
    """Get the title of a task; of an unknown one its name."""
    return TASKS[name].title if name in TASKS else name
