"""Checks a recipe's tables; each wrong key gets a message with its value, the rule, and the nearest valid choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from ftapp.common.errors import Problem, RecipeError, shorten, suggest_nearest
from ftapp.recipe import presets, sources
from ftapp.recipe.overrides import NAMED, list_names, merge
from ftapp.recipe.phase_schema import Phase
from ftapp.recipe.schema import Recipe, say_too_long
from ftapp.recipe.section import Section
from ftapp.recipe.tasks import TASKS
from ftapp.recipe.value_errors import explain_value
from ftapp.recipe.value_types import MARKS

_Section = TypeVar("_Section", bound=Section)


def validate(raw: dict[str, Any]) -> tuple[Recipe | None, list[tuple[str, str]]]:
    """Check raw tables.

    Args:
        raw: The tables of a recipe, without profiles and arms.

    Returns:
        The recipe, None where the tables make none; and the problems, each a key with a message.
    """
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        return None, list(dict.fromkeys(_explain(item, list_names(raw.get("phase"))) for item in error.errors()))
    return recipe, list(_find_conflicts(recipe))


def check_tables(tables: Mapping[str, Any], section: type[_Section], place: str) -> _Section:
    """Check tables that are no recipe's.

    Args:
        tables: The tables.
        section: Their schema.
        place: Where they come from, such as a file.

    Raises:
        RecipeError: A key or a value is wrong.
    """
    try:
        return section.model_validate(tables)
    except ValidationError as error:
        problems = dict.fromkeys(_explain(item, section=section) for item in error.errors())
        raise RecipeError([Problem(place, key, message) for key, message in problems]) from error


def find_unknown_keys(
    changes: Mapping[str, Any], tables: Any, section: type[Section] = Recipe, place: str = ""
) -> Iterator[tuple[str, str]]:
    """Find the keys of a change that no recipe has, whatever their values.

    A check of the changed tables would not show a key whose value None takes it away.

    Args:
        changes: The change, as nested tables.
        tables: The raw tables that the change is laid over.
        section: The schema of these tables.
        place: The prefix of their keys, such as "phase.head.".

    Yields:
        A key and a message.
    """
    tables = tables if isinstance(tables, Mapping) else {}
    for key, value in changes.items():
        path, old = f"{place}{key}", tables.get(key)
        if key in NAMED and not place and isinstance(value, Mapping):
            named = dict(zip(list_names(old), old, strict=True)) if isinstance(old, list) else {}
            for name, change in value.items():
                if name not in named:
                    yield path, f"there is no {key} '{name}'; {suggest_nearest(name, named)}"
                elif isinstance(change, Mapping) and key == "phase":
                    yield from find_unknown_keys(change, named[name], Phase, f"{path}.{name}.")
                elif isinstance(change, Mapping):
                    kept = {part: each for part, each in change.items() if part != "name"}
                    arm = {part: each for part, each in tables.items() if part != "arm"}
                    with suppress(ValueError):  # what is wrong with the arm itself is told where arms are checked
                        arm = merge(arm, named[name] if isinstance(named[name], Mapping) else {})
                    yield from ((f"{path}.{name}.{found}", why) for found, why in find_unknown_keys(kept, arm))
        elif key == "profile" and not place:
            yield path, "--set changes no profile; --profile NAME chooses one"
        elif key not in section.model_fields and not (key == "arm" and not place):
            yield path, f"unknown key; {suggest_nearest(key, section.model_fields)}"
        elif isinstance(value, Mapping):
            inner = next(_find_sections(section.model_fields[key].annotation), None)
            if inner is not None:
                yield from find_unknown_keys(value, old, inner, f"{path}.")
                continue
            known = old if isinstance(old, Mapping) else {}
            gone = [part for part, each in value.items() if each is None and part not in known]
            yield from ((f"{path}.{part}", f"this key is not there; {suggest_nearest(part, known)}") for part in gone)


def _explain(
    error: Mapping[str, Any], phase_names: Sequence[str] = (), section: type[Section] = Recipe
) -> tuple[str, str]:
    """Translate an error of Pydantic into a key and a message.

    Args:
        error: The error.
        phase_names: The names of the phases of a recipe.
        section: The schema of the tables.
    """
    path, fields = _walk(error["loc"], section)
    if len(path) > 1 and path[0] == "phase" and path[1].isdecimal():
        path[1] = shorten(phase_names[int(path[1])])
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        return key, f"unknown key; {suggest_nearest(path[-1], fields)}"
    return key, explain_value(error)


def _walk(location: Sequence[str | int], root: type[Section]) -> tuple[list[str], list[str]]:
    """Return the readable path of an error, without pydantic's own marks, and the keys valid beside its last part."""
    section: type[Section] | None = root
    path: list[str] = []
    fields: list[str] = []
    for part in location:
        if part in MARKS:
            continue
        if isinstance(part, str) and section is not None:
            fields = list(section.model_fields)
            field = section.model_fields.get(part)
            section = next(_find_sections(field.annotation), None) if field else None
        path.append(str(part))
    return path, fields


def _find_sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _find_sections(argument)


_OF_TABLES = ("split_column", "group_column", "order_column", "weight_column")


def _find_conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Find keys that are valid alone and not together."""
    task, model = TASKS[recipe.task], recipe.model
    needed = task.size_key
    if getattr(model, needed) is None:
        yield f"model.{needed}", f"this key is required for {recipe.task} and is missing"
    for name in task.foreign_keys:
        section, _, key = name.partition(".")
        table = getattr(recipe, section)
        if section == "augment" and not task.augmentations:
            table = None  # which is refused whole
        # Recipes of runs that an earlier version resolved may have the key, with its default value.
        if table is not None and getattr(table, key) != type(table).model_fields[key].default:
            yield name, f"this key does not go with task = '{recipe.task}'"
    longest = presets.read_max_sequence_length(model.preset)
    if longest is not None and model.sequence_length is not None and model.sequence_length > longest:
        yield "model.sequence_length", say_too_long(model.sequence_length, longest)
    if recipe.augment is not None and not task.augmentations:
        yield "augment", f"task = '{recipe.task}' takes no augmentation, which is for classifiers"
    if task.heads and model.head not in task.heads:
        rule = suggest_nearest(model.head, task.heads)
        yield "model.head", f"'{model.head}' does not go with task = '{recipe.task}'; {rule}"
    if recipe.devices > 1 and recipe.backend != "jax":
        yield (
            "devices",
            f"{recipe.devices} devices do not go with backend = '{recipe.backend}'; Keras trains on several "
            "devices on JAX alone: set backend = 'jax', or devices = 1",
        )
    if recipe.parallel == "model" and recipe.devices == 1:
        yield "parallel", "'model' does not go with devices = 1; several devices share the weights: set devices = 2"
    if model.label_smoothing and model.head == "linear-svm":
        yield "model.label_smoothing", "this key does not go with head = 'linear-svm', which has no probabilities"
    if recipe.balance.focal_gamma and model.head == "linear-svm":
        yield "balance.focal_gamma", "this key does not go with head = 'linear-svm', which has no probabilities"
    yield from _find_mixing_conflicts(recipe)
    if recipe.frozen.dtype == "int8" and recipe.frozen.engine != "openvino":
        yield (
            "frozen.dtype",
            f"'int8' does not go with engine = '{recipe.frozen.engine}'; OpenVINO computes in int8: set frozen.engine "
            "= 'openvino', or frozen.dtype = 'auto'",
        )
    elif recipe.frozen.dtype == "int8" and not recipe.frozen.cache:
        yield (
            "frozen.dtype",
            "'int8' does not go with cache = false; only cached features are computed in int8: set frozen.cache = "
            "true, or frozen.dtype = 'auto'",
        )
    if recipe.samples is not None and not task.writes:
        yield "samples", f"task = '{recipe.task}' writes no samples; only a causal language model does"
    if not recipe.data.test_size:
        yield "data.test", "there is no test split, since data.test = 0; the result needs one, such as data.test = 0.2"
    if recipe.evaluate.split == "validation" and not recipe.data.validation:
        yield "evaluate.split", "there is no validation split, since data.validation = 0; did you mean 'test'?"
    metrics = [metric.name for metric in task.held_out_metrics]
    for key, metric in (
        ("stop.metric", recipe.stop.metric if recipe.stop else None),
        ("keep.best", recipe.kept_metric if recipe.keep else None),
        ("sweep.metric", recipe.sweep.metric if recipe.sweep else None),
    ):
        if metric is not None and metric not in metrics:
            yield key, f"task = '{recipe.task}' has no metric '{metric}'; {suggest_nearest(metric, metrics)}"
    yield from _find_fold_conflicts(recipe)
    shares = [size for size in (recipe.data.validation, recipe.data.test_size) if size < 1]
    if sum(shares) >= 1:
        given = " + ".join(f"{share:.3g}" for share in shares)
        yield (
            "data.validation" if recipe.data.folds else "data.test",
            f"{given} of the examples leave none to train on; both together are below 1",
        )
    for phase in recipe.phase:
        yield from ((f"phase.{phase.name}.{key}", message) for key, message in _find_phase_conflicts(recipe, phase))
    names = [phase.name for phase in recipe.phase]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"phase.{name}", "two phases have this name; phases have different names"
    keys = {"splits": ("folder",), **dict.fromkeys(_OF_TABLES, sources.TABLES)}
    if recipe.data.splits == "none":
        keys["splits"] = ("folder", "text", *sources.TABLES)
    for key, schemes in keys.items():
        if getattr(recipe.data, key) and sources.parse(recipe.data.source).scheme not in schemes:
            goes = " and ".join(f"{scheme}:" for scheme in schemes)
            yield f"data.{key}", f"the source is '{recipe.data.source}', and this key goes with {goes} alone"
    for key in ("split_column", "group_column"):
        if recipe.data.order_column and getattr(recipe.data, key):
            yield "data.order_column", f"this key does not go with data.{key}; take one of the two: --set data.{key}="
    if recipe.data.label_columns and recipe.data.classes:
        yield "data.classes", "this key does not go with data.label_columns, whose names are the classes"
    if recipe.data.weight_column and recipe.augmentation and recipe.augmentation.mixes_labels:
        yield "data.weight_column", "this key does not go with mixup and cutmix, which mix rows of different weights"
    yield from _find_template_conflicts(recipe)
    yield from sources.find_conflicts(recipe.task, recipe.data.source)


def _find_fold_conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Find keys that do not go with folds, and a fold that is none of them."""
    data = recipe.data
    if data.folds is None:
        if data.fold is not None:
            yield "data.fold", f"fold {data.fold} is of no folds; data.folds says how many there are"
        return
    if data.fold is not None and data.fold > data.folds:
        yield "data.fold", f"{data.fold} is too large; the most is data.folds = {data.folds}"
    for key, why in (("split_column", "names the test split"), ("order_column", "tests on the latest rows alone")):
        if getattr(data, key):
            yield "data.folds", f"folds do not go with data.{key}, which {why}; take one of the two: --set data.{key}="
    if data.splits not in (None, "none"):
        yield "data.folds", "folds do not go with data.splits, which names the test split; take data.splits = 'none'"


def _find_template_conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Find keys of completion data that are valid alone and not together, and samples that have no prompt."""
    if not recipe.has_template:
        if recipe.samples is not None and recipe.samples.prompts is None and TASKS[recipe.task].writes:
            yield "samples.prompts", "this key is required and is missing"
        return
    data = recipe.data
    if data.chat_column is not None:
        for key in ("prompt_column", "completion_column"):
            if getattr(data, key) != type(data).model_fields[key].default:
                yield f"data.{key}", "this key does not go with data.chat_column; take one of the two"
    elif data.prompt_column == data.completion_column:
        rule = "a completion has a column of its own"
        yield "data.completion_column", f"'{data.prompt_column}' is the column of the prompts too; {rule}"
    if fault := data.prompt_template.find_fault():
        yield "data.template", fault


def _find_phase_conflicts(recipe: Recipe, phase: Phase) -> Iterator[tuple[str, str]]:
    """Find keys of a phase that are valid alone and not together."""
    if phase.accumulate > 1 and phase.steps and phase.steps % phase.accumulate:
        yield "steps", say_unfilled(phase.steps, phase.accumulate)
    if phase.accumulate > 1 and phase.gradient_norm:
        yield "gradient_norm", "this key does not go with accumulate, whose gradient is one of several steps"
    if phase.ema is not None and phase.swa is not None:
        yield "swa", "this key does not go with ema; both average the weights of the phase, so take one of them"
    averaged_by = phase.averaged_by
    if phase.accumulate > 1 and averaged_by:
        yield averaged_by, "this key does not go with accumulate, which changes no weight in most steps"
    for key, is_used in (("accumulate", phase.accumulate > 1), (averaged_by, averaged_by is not None)):
        if key and is_used and recipe.precision == "float16":
            rule = "whose optimizer scales the loss and skips steps; take precision = 'bfloat16' or 'float32'"
            yield key, f"this key does not go with precision = 'float16', {rule}"


def say_unfilled(batches: int, accumulate: int) -> str:
    """Write the message about batches that end amid an update of `accumulate` batches."""
    nearest = max(1, round(batches / accumulate)) * accumulate
    return f"{batches} batches do not fill updates of {accumulate}; take for example {nearest}"


def _find_mixing_conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Find keys that do not go with examples that are mixed with their labels."""
    mixing = {key: getattr(recipe.augment, key) for key in ("mixup", "cutmix")} if recipe.augment else {}
    for key in (key for key, strength in mixing.items() if strength):
        if recipe.model.head == "linear-svm":
            yield (
                f"augment.{key}",
                "this key does not go with head = 'linear-svm', whose labels are one class each; set model.head = "
                f"'softmax', or augment.{key} = 0",
            )
        if recipe.frozen.engine != "keras":
            yield (
                f"augment.{key}",
                f"this key does not go with frozen.engine = '{recipe.frozen.engine}', which computes cached features; "
                f"each step mixes other images, so none are cached: set frozen.engine = 'keras', or augment.{key} = 0",
            )
        for phase in recipe.phase:
            if phase.batch_size == 1:
                yield (
                    f"phase.{phase.name}.batch_size",
                    f"1 example is too few for augment.{key}, which mixes the images of a batch; the least is 2",
                )
