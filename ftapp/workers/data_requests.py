"""Requests about a recipe's data: previews, token counts, augmented forms, and a survey."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ftapp import recipe as recipes
from ftapp.analysis import advice
from ftapp.common.errors import RunError
from ftapp.recipe import TASKS
from ftapp.rpc import server, structure_cache
from ftapp.rpc.messages import Grid, Preview, Rewritten, Survey, Tokens
from ftapp.rpc.server import Request
from ftapp.workers import previews
from ftapp.workers.recipe_cache import RecipeCache, load_keras, make_data_key

if TYPE_CHECKING:
    from ftapp.data import DocumentSplits, Splits, Subset

_LARGEST_VIEW = 224  # pixels of the longer side of an augmented preview
_GRIDS = 2  # whose files stay


class DataRequests:
    """The handlers of requests about data. Their recipe is TOML text."""

    def __init__(self, cache: RecipeCache, folder: Path) -> None:
        """Prepare the handlers.

        Args:
            cache: What has been read and built for the last recipe.
            folder: For the files of previews.
        """
        self._cache, self._folder = cache, folder
        self._images: server.Last[tuple[Any, list[str]]] = server.Last()
        self._survey: server.Last[Survey] = server.Last()
        self._grids = 0

    def preview_data(self, request: Request, recipe: str, examples: int) -> Preview:
        """Preview the splits, the classes and the first training examples.

        Args:
            request: Receives the progress.
            recipe: TOML text.
            examples: How many examples the preview has at most.

        Raises:
            RecipeError: The data do not fit the recipe.
            RunError: The data cannot be read.
        """
        parsed = recipes.parse(recipe)
        found = self._cache.read(parsed, request)
        if TASKS[parsed.task].splitter == "documents":
            return previews.preview_documents(cast("DocumentSplits", found), examples)
        return previews.preview_examples(cast("Splits", found), examples, self._folder)

    def count_tokens(self, request: Request, recipe: str, examples: int) -> Tokens:
        """Count the tokens of the first training texts.

        Args:
            request: Receives the progress.
            recipe: TOML text.
            examples: How many texts are counted at most.

        Raises:
            RunError: The task has no texts, or the data cannot be read.
        """
        parsed = recipes.parse(recipe)
        if TASKS[parsed.task].inputs != "texts":
            raise RunError(f"the task '{parsed.task}' has no tokens; only texts have tokens")
        load_keras(parsed, request)
        found = self._cache.read(parsed, request).train
        preprocessor = self._cache.load_preprocessor(parsed, request)
        from ftapp.data.completions import Completions
        from ftapp.data.encoded_completions import encode_rows
        from ftapp.data.encoding import count_tokens, encode_stream
        from ftapp.data.examples import Subset

        length = preprocessor.sequence_length
        if TASKS[parsed.task].labels == "tokens":
            splits = self._cache.encode(parsed, request, preprocessor)
            sequences = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
            counts = [len(encode_stream([text], preprocessor.tokenizer)) for text in cast(list[str], found)[:examples]]
            return Tokens(counts=tuple(counts), length=length, sequences=sequences)
        if isinstance(found, Subset) and isinstance(found.examples, Completions):
            chosen = [found.examples.exchanges[index] for index in found.indices[:examples]]
            rows = encode_rows(chosen, preprocessor.tokenizer)
            return Tokens(counts=tuple(len(tokens) - 1 for tokens, _ in rows), length=length, sequences=None)
        counts = count_tokens(_take_texts(cast("Subset", found), examples), preprocessor)
        return Tokens(counts=tuple(counts), length=length, sequences=None)

    def augment(self, request: Request, recipe: str, images: int, views: int) -> Grid:
        """Write a grid of augmented training images.

        Args:
            request: Receives the progress.
            recipe: TOML text.
            images: How many rows the grid has at most.
            views: How many augmented forms each row has.

        Raises:
            RunError: The task has no images, or the data cannot be read.
        """
        parsed = recipes.parse(recipe)
        if parsed.model.image_size is None:
            raise RunError(f"the task '{parsed.task}' has no images; this preview is of augmented images")
        load_keras(parsed, request)
        found = cast("Splits", self._cache.read(parsed, request))
        height, width = parsed.model.image_size
        scale = min(1.0, _LARGEST_VIEW / max(height, width))
        size = (max(8, round(height * scale)), max(8, round(width * scale)))
        from ftapp.data.augmentation import Augmenter, make_grid
        from ftapp.data.dataset import BatchKey
        from ftapp.data.encoding import resize_images
        from ftapp.data.thumbnails import write_thumbnail

        def resize() -> tuple[Any, list[str]]:
            preprocessor = self._cache.load_preprocessor(parsed, request)
            chosen = range(min(images, len(found.train)))
            preprocessor.image_size = size
            try:
                pixels = resize_images([found.train.read_image(index, max(size)) for index in chosen], preprocessor)
            finally:
                preprocessor.image_size = (height, width)
            return pixels, [found.train.describe_label(index) for index in chosen]

        pixels, labels = self._images.get(repr((make_data_key(parsed), parsed.model.preset, size, images)), resize)
        augmenter = Augmenter(parsed.augmentation, size) if parsed.augmentation else None
        columns = make_grid(pixels, augmenter, views, BatchKey(parsed.seed, 0, 0, 0))
        self._grids += 1
        place = self._folder / f"grid-{self._grids}"
        place.mkdir()
        rows = []
        for row in range(len(labels)):
            files = [place / f"{row}-{column}.png" for column in range(len(columns))]
            for made, file in zip(columns, files, strict=True):
                write_thumbnail(made[row], file)
            rows.append(tuple(map(str, files)))
        shutil.rmtree(self._folder / f"grid-{self._grids - _GRIDS}", ignore_errors=True)
        return Grid(rows=tuple(rows), labels=tuple(labels), size=size[::-1])

    def rewrite(self, request: Request, recipe: str, texts: int) -> tuple[Rewritten, ...]:
        """Augment the first training texts, and show the changes.

        Args:
            request: Receives the progress.
            recipe: TOML text.
            texts: How many texts are augmented at most.

        Raises:
            RunError: The task has no labelled texts, or the recipe has no augmentation.
        """
        parsed = recipes.parse(recipe)
        task = TASKS[parsed.task]
        if task.inputs != "texts" or not task.augmentations or parsed.augment is None:
            raise RunError(f"the task is '{parsed.task}'; only texts of classifiers with [augment] are augmented")
        load_keras(parsed, request)
        found = cast("Splits", self._cache.read(parsed, request))
        preprocessor = self._cache.load_preprocessor(parsed, request)
        from ftapp.data.augmentation import TextAugmenter
        from ftapp.data.dataset import BatchKey
        from ftapp.data.encoding import encode_texts

        train = found.train
        inputs = encode_texts(_take_texts(train, texts), preprocessor)
        augmenter = TextAugmenter(parsed.augment, preprocessor.tokenizer)
        made = []
        for row in range(len(inputs["token_ids"])):
            tokens = inputs["token_ids"][row, : int(inputs["padding_mask"][row].sum())]
            drawn = augmenter.draw(tokens, (*BatchKey(parsed.seed, 0, 0, 0), row))
            made.append(previews.describe_rewrite(train.describe_label(row), augmenter.split_text(tokens), *drawn))
        return tuple(made)

    def survey(self, request: Request, recipe: str) -> Survey:
        """Survey the data of a classifier through its pretrained model.

        Args:
            request: Receives the progress.
            recipe: TOML text.

        Raises:
            RunError: The task has no classes, or the data cannot be read.
        """
        parsed = recipes.parse(recipe)
        if TASKS[parsed.task].labels != "classes":
            raise RunError(f"the task '{parsed.task}' has no classes; a survey needs classes")
        asked = advice.with_all_data(parsed)

        def make() -> Survey:
            from ftapp import data

            request.report_progress("reading the data")
            splits = data.load(asked.data, parsed.task, parsed.seed, request.report_progress)
            load_keras(parsed, request)
            held = self._cache.load_model(parsed, request, len(splits.classes))
            from ftapp.analysis import transfer_probe

            with held.lock:
                return transfer_probe.survey_data(
                    parsed, held.pretrained.backbone, held.pretrained.preprocessor, splits, request.report_progress
                )

        identity = structure_cache.identify_data(asked)
        return self._survey.get(repr((identity, parsed.model, parsed.precision, parsed.seed)), make)


def _take_texts(part: Subset, size: int) -> list[str]:
    """Take the first texts of a split."""
    return [str(part[index]) for index in range(min(size, len(part)))]
