"""Evaluations of a trained model after its run: of the run's own test split again, and of other data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ftapp import data
from ftapp.common.downloads import Progress
from ftapp.common.errors import Problem, RecipeError
from ftapp.data.dataset import EncodedDataset, EncodedSplits
from ftapp.data.encoded import Images, LabelledTexts
from ftapp.data.encoded_completions import EncodedCompletions
from ftapp.data.encoded_splits import encode_whole, load_encoded
from ftapp.data.examples import SPLITS, Examples, Subset, count_classes
from ftapp.data.order import order_evaluation
from ftapp.models import build
from ftapp.models.build import Pretrained
from ftapp.models.saved_model import TrainedModel
from ftapp.recipe import TASKS, Recipe
from ftapp.training.answers import AnswerKind, SetAnswers, make_answer_kind
from ftapp.training.build_model import build_model
from ftapp.training.compile_trained import compile_trained, read_scale
from ftapp.training.evaluate import Evaluation, evaluate
from ftapp.training.instrumented_model import InstrumentedModel
from ftapp.training.phase_features import report_to
from ftapp.training.session import PhaseSession
from ftapp.training.setup import choose_device


@dataclass(frozen=True)
class Measurement:
    """An evaluation, and what was evaluated.

    Attributes:
        found: The evaluation.
        splits: The data, whose test split was measured.
        answers: What measures and names answers; None for tokens.
        notes: Decisions that were made when the source was read, in sentences.
        examples: Other data than the run's own, if they are labelled; else None.
    """

    found: Evaluation
    splits: EncodedSplits
    answers: AnswerKind | None
    notes: tuple[str, ...]
    examples: Subset | None = None

    @property
    def weighs_tokens(self) -> bool:
        """Whether the loss is a mean over tokens, of which examples have more or fewer."""
        return isinstance(self.splits.test, EncodedCompletions)


def repeat_evaluation(recipe: Recipe, trained: TrainedModel, folder: Path, progress: Progress) -> Measurement:
    """Measure a run's test split again, as the run has measured it: by the session of its last phase.

    So cached features are read again where they are still kept.

    Args:
        recipe: The recipe of the run, with the precision that was in force.
        trained: Its model.
        folder: The folder of the model.
        progress: Receives what is read and done.

    Raises:
        RecipeError: The data are not there any more, or do not fit.
    """
    choose_device(recipe.precision)
    own = recipe.model_copy(update={"model": recipe.model.model_copy(update={"preset": str(folder / "preset")})})
    pretrained = build.load_pretrained(own, progress)
    if pretrained.causal_lm is not None:
        pretrained = _rebuild(pretrained, pretrained.causal_lm)
    splits = load_encoded(own, pretrained.preprocessor, progress)
    model, _, plans = build_model(own, pretrained, splits)
    if pretrained.causal_lm is None:
        _take_weights(model, trained.model)

    last = len(own.phase) - 1
    with PhaseSession(own, last, model, plans[last], splits, report=report_to(progress)) as session:
        _set_thresholds(session.answers, trained)
        found = session.evaluate_in_float("test") if session.is_quantized else session.evaluate("test")
        assert found is not None, "nobody gives up"
        return Measurement(found, splits, session.answers, splits.notes)


def evaluate_source(recipe: Recipe, trained: TrainedModel, split: str | None, progress: Progress) -> Measurement:
    """Measure a trained model on other data.

    Args:
        recipe: The recipe of the run, with the other data, and the classes of the model.
        trained: The model.
        split: Which of the source's own splits; None for its test split where it has one, else for all examples.
        progress: Receives what is read and done.

    Raises:
        RecipeError: The data do not fit, or the source has no such split.
    """
    if TASKS[trained.task].writes:
        choose_device(recipe.precision)
        return _evaluate_language_model(recipe, trained, progress)
    examples = data.read_examples(recipe.data, recipe.task, progress)
    chosen, note = _choose_examples(examples, split)
    subset = Subset(examples, chosen)
    is_text = TASKS[trained.task].inputs == "texts"
    dataset: EncodedDataset = (
        LabelledTexts(subset, trained.preprocessor) if is_text else Images(subset, trained.preprocessor, None)
    )
    counts = {"test": tuple(count_classes(subset.labels, len(trained.classes)))}
    splits = EncodedSplits(dataset, dataset, dataset, trained.classes, 0, counts, scale=read_scale(trained))
    answers = make_answer_kind(recipe, splits)
    _set_thresholds(answers, trained)
    found = _measure(recipe, compile_trained(trained), dataset, answers, progress)
    return Measurement(found, splits, answers, (*note, *examples.notes), subset)


def _evaluate_language_model(recipe: Recipe, trained: TrainedModel, progress: Progress) -> Measurement:
    task = TASKS[recipe.task]
    texts = data.read_examples(recipe.data, recipe.task, progress)
    every = range(len(texts))
    part = [str(texts[at]) for at in every] if task.splitter == "documents" else Subset(texts, np.array(every))
    dataset = encode_whole(recipe, part, trained.preprocessor, progress)
    splits = EncodedSplits(dataset, dataset, dataset, (), 0)
    return Measurement(_measure(recipe, compile_trained(trained), dataset, None, progress), splits, None, texts.notes)


def _measure(
    recipe: Recipe, model: InstrumentedModel, dataset: EncodedDataset, answers: AnswerKind | None, progress: Progress
) -> Evaluation:
    order = order_evaluation(len(dataset), recipe.evaluate.batch_size, None, recipe.seed, dataset.lengths)

    def report(done: int, total: int) -> bool:
        progress("evaluating", done, total)
        return True

    found = evaluate(model, dataset, order, answers, report)
    assert found is not None, "nobody gives up"
    return found


def count_seen(measured: Subset, trained_on: Subset) -> int:
    """Count the examples that a model was trained on: equal ones, as `ftapp.data.duplicates` finds them."""

    def identify(subset: Subset) -> Iterator[bytes]:
        return (each.tobytes() for each in subset.examples.identify_all()[subset.indices])

    seen = set(identify(trained_on))
    return sum(each in seen for each in identify(measured))


def _choose_examples(examples: Examples, split: str | None) -> tuple[NDArray[np.int64], Iterator[str]]:
    given = examples.given_split
    names = [name for name, number in SPLITS.items() if given is not None and (given == number).any()]
    wanted = split or ("test" if "test" in names else "all")
    if wanted == "all":
        return np.arange(len(examples)), iter(())
    if given is None or wanted not in names:
        listed = f"its splits are {', '.join(names)}" if names else "it has no splits of its own"
        raise RecipeError([Problem("", "--split", f"the source has no split '{wanted}'; {listed}; or name all")])
    note = f"the {wanted} split of the source; --split all takes all of it"
    return np.flatnonzero(given == SPLITS[wanted]), iter(() if split else (note,))


def _set_thresholds(answers: AnswerKind | None, trained: TrainedModel) -> None:
    if isinstance(answers, SetAnswers):
        answers.thresholds = np.array(trained.thresholds, np.float64)


def _rebuild(pretrained: Pretrained, causal_lm: Any) -> Pretrained:
    """Build a language model again at the precision in force: a saved one names float32 (`saved_model`)."""
    former = pretrained.backbone
    config = former.get_config() | {"dtype": keras.config.dtype_policy().name}
    backbone = type(former).from_config(config)
    backbone.set_weights(former.get_weights())
    made = type(causal_lm)(backbone=backbone, preprocessor=pretrained.preprocessor)
    return Pretrained(backbone, pretrained.preprocessor, made)


def _take_weights(model: keras.Model, trained: keras.Model) -> None:
    """Give a model the trained weights. Adapters, which are merged there, stay as they begin, without effect."""
    values = {variable.path: variable for variable in trained.weights}
    missing = set(values)
    for variable in model.weights:
        if variable.path in values:
            variable.assign(values[variable.path])
            missing.discard(variable.path)
    assert not missing, f"the recipe's model has no weights {sorted(missing)[:3]}"
