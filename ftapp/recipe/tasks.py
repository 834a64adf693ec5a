"""The tasks that a model is fine-tuned for, a row each: what a task reads, learns, is measured by and goes with.

The rest of the program asks the row and not for the task's name. What a row names is found where its libraries are:
losses and metrics in `ftapp.models.heads`, preprocessors in `ftapp.models.build`, readers and splitters in
`ftapp.data`. A new task is one more row, and a function for each thing that it names and no other task does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ftapp.recipe.metrics import (
    ACCURACY,
    AUC,
    LOSS,
    MACRO_F1,
    MEAN_ABSOLUTE_ERROR,
    MEAN_AVERAGE_PRECISION,
    MICRO_F1,
    R_SQUARED,
    ROOT_MEAN_SQUARED_ERROR,
    SPEARMAN,
    Metric,
)

TaskName = Literal[
    "image-classification",
    "text-classification",
    "image-multi-label",
    "text-multi-label",
    "image-regression",
    "text-regression",
    "causal-lm",
    "completion-lm",
]
Head = Literal["softmax", "one-vs-rest", "linear-svm", "linear"]
LabelKind = Literal["classes", "sets", "numbers", "tokens", "completions"]
SourceKind = Literal["files", "images", "rows", "texts", "any"]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        title: What lists of tasks call it.
        inputs: What an example is.
        labels: What the model predicts of an example: its class, the set of its classes, a number, each next token, or
            each next token of its completions alone.
        example: What an example of training is called, one of them.
        hub_name: What model hubs call the task.
        preprocessor: The stem of KerasHub's names for it, as in `image_classifier_preprocessor.py`.
        sources: Kinds of data sources that serve it (`ftapp.recipe.sources`).
        splitter: How data are split: examples with each class in proportion, or the texts of documents.
        losses: The name of the loss for each new head that suits it, the usual head first; under None for the head of
            the pretrained model itself.
        metrics: What is measured of batches and evaluations beside the loss, the most important one first.
        evaluation_metrics: What is measured of evaluations alone, since it is no mean over batches.
        writes: Whether the model writes text, so that a run can take samples.
        augmentations: The keys of [augment] that suit it, beside those that suit any augmentation.
    """

    title: str
    inputs: Literal["images", "texts"]
    labels: LabelKind
    example: str
    hub_name: str
    preprocessor: str
    sources: tuple[SourceKind, ...]
    splitter: Literal["stratified", "documents"]
    losses: Mapping[Head | None, str]
    metrics: tuple[Metric, ...]
    evaluation_metrics: tuple[Metric, ...] = ()
    writes: bool = False
    augmentations: tuple[str, ...] = ()

    @property
    def heads(self) -> tuple[Head, ...]:
        """New heads that suit the task, the usual one first; none where the pretrained model keeps its own."""
        return tuple(head for head in self.losses if head)

    @property
    def is_labelled(self) -> bool:
        """Whether examples come with labels; the tokens of a text are labels of their own."""
        return not self.writes

    @property
    def has_classes(self) -> bool:
        """Whether the model has an output for each of some named classes."""
        return self.labels in ("classes", "sets")

    @property
    def held_out_metrics(self) -> tuple[Metric, ...]:
        """What an evaluation measures, the loss first."""
        return (LOSS, *self.metrics, *self.evaluation_metrics)

    @property
    def searched_metric(self) -> Metric:
        """The metric by which a sweep judges, unless it names another: the first beside the loss, if there is one."""
        return self.held_out_metrics[:2][-1]

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
            "data.image_column" if self.inputs == "texts" else "data.text_column",
            *(key for key, kinds in _OF_LABELS.items() if self.labels not in kinds),
        )


_OF_INPUTS = {"images": ("image_size", "features", "pooling"), "texts": ("sequence_length",)}
_OF_HEADS = ("normalize", "hidden", "dropout", "head")
_COMPLETIONS: tuple[LabelKind, ...] = ("completions",)
_NO_COMPLETIONS: tuple[LabelKind, ...] = ("classes", "sets", "numbers", "tokens")
_OF_LABELS: Mapping[str, tuple[LabelKind, ...]] = {
    "model.label_smoothing": ("classes", "sets"),
    "balance.class_weights": ("classes", "sets"),
    "balance.focal_gamma": ("classes", "sets"),
    "balance.sampling": ("classes",),
    "data.classes": ("classes", "sets"),
    "data.merge_labels": ("classes", "sets"),
    "data.conflicts": ("classes", "sets"),
    "data.order_column": ("classes", "sets", "numbers", "completions"),
    "data.weight_column": ("classes", "sets", "numbers"),
    "data.label_columns": ("sets",),
    "data.label_separator": ("sets",),
    **dict.fromkeys(("data.text_column", "data.label_column"), _NO_COMPLETIONS),
    **dict.fromkeys(
        ("data.prompt_column", "data.completion_column", "data.chat_column", "data.template"), _COMPLETIONS
    ),
}
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
_FOR_CLASSES: Mapping[Head | None, str] = {
    "softmax": "categorical-crossentropy",
    "one-vs-rest": "binary-crossentropy",
    "linear-svm": "hinge",
}
_FOR_SETS: Mapping[Head | None, str] = {"one-vs-rest": "set-crossentropy", "linear-svm": "set-hinge"}
_FOR_NUMBERS: Mapping[Head | None, str] = {"linear": "squared-error"}
_OF_SETS = (MACRO_F1, MEAN_AVERAGE_PRECISION)
_OF_NUMBERS = (ROOT_MEAN_SQUARED_ERROR, R_SQUARED, SPEARMAN)

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
        losses=_FOR_CLASSES,
        metrics=(ACCURACY,),
        evaluation_metrics=(MACRO_F1, AUC),
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
        losses=_FOR_CLASSES,
        metrics=(ACCURACY,),
        evaluation_metrics=(MACRO_F1, AUC),
        augmentations=_OF_TEXTS,
    ),
    "image-multi-label": Task(
        title="Several labels for an image",
        inputs="images",
        labels="sets",
        example="example",
        hub_name="image-classification",
        preprocessor="image_classifier",
        sources=("rows",),
        splitter="stratified",
        losses=_FOR_SETS,
        metrics=(MICRO_F1,),
        evaluation_metrics=_OF_SETS,
        augmentations=_OF_IMAGES,
    ),
    "text-multi-label": Task(
        title="Several labels for a text",
        inputs="texts",
        labels="sets",
        example="example",
        hub_name="text-classification",
        preprocessor="text_classifier",
        sources=("rows",),
        splitter="stratified",
        losses=_FOR_SETS,
        metrics=(MICRO_F1,),
        evaluation_metrics=_OF_SETS,
        augmentations=_OF_TEXTS,
    ),
    "image-regression": Task(
        title="A number for an image",
        inputs="images",
        labels="numbers",
        example="example",
        hub_name="image-classification",
        preprocessor="image_classifier",
        sources=("files", "images", "rows"),
        splitter="stratified",
        losses=_FOR_NUMBERS,
        metrics=(MEAN_ABSOLUTE_ERROR,),
        evaluation_metrics=_OF_NUMBERS,
        augmentations=_OF_IMAGES,
    ),
    "text-regression": Task(
        title="A number for a text",
        inputs="texts",
        labels="numbers",
        example="example",
        hub_name="text-classification",
        preprocessor="text_classifier",
        sources=("files", "rows"),
        splitter="stratified",
        losses=_FOR_NUMBERS,
        metrics=(MEAN_ABSOLUTE_ERROR,),
        evaluation_metrics=_OF_NUMBERS,
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
        losses={None: "token-crossentropy"},
        metrics=(),
        writes=True,
    ),
    "completion-lm": Task(
        title="Completions of prompts and chats",
        inputs="texts",
        labels="completions",
        example="example",
        hub_name="text-generation",
        preprocessor="causal_lm",
        sources=("rows",),
        splitter="stratified",
        losses={None: "completion-crossentropy"},
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
