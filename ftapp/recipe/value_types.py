"""The types of a recipe's values: choices, bounded numbers, parsed rules, and checks with messages of their own."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, GetPydanticSchema, Tag, WithJsonSchema
from pydantic_core import core_schema

from ftapp.common.errors import quote, suggest_nearest
from ftapp.recipe import presets, sources
from ftapp.recipe.folder_layout import Role
from ftapp.recipe.layer_rules import Rule, Selections

Pooling = Literal["average", "max", "flatten"]
Backend = Literal["tensorflow", "jax", "torch"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Parallel = Literal["data", "model"]
Split = Literal["validation", "test"]
FillMode = Literal["nearest", "reflect", "wrap", "constant"]
Conflicts = Literal["stop", "drop", "first"]
Optimizer = Literal["adam", "adamw", "sgd", "rmsprop", "lion"]
Schedule = Literal["constant", "linear", "cosine"]
Share = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0, le=1)]

# Bounds of numbers. They are far beyond what is of use and short of what fails without a sentence: a count that no
# array can have, a rate that float32 rounds to 0 or that makes the first step infinite.
MOST_EXAMPLES = 10**9
MOST_FOLDS = 100
MOST_STEPS = 10**7  # a run's events are kept by column, 72 bytes a step
MOST_EPOCHS = 10**4
MOST_BATCH = 2**16  # the largest batches of the literature: You et al. 2020 (LAMB) train BERT with 65,536 / 32,768
LEAST_RATE, MOST_RATE = 1e-12, 100.0  # a range test (Smith 2015) ends at 10
MOST_DEVICES = 4096  # of one machine; a pod of TPUs has 4,096 chips (Jouppi et al. 2023)
MOST_PIXELS = 4096  # a side; an image of this size takes 200 MB in float32
MOST_TOKENS = 2**20
MOST_UNITS = 2**16
MOST_WEIGHT = 1e6  # of a class: a million to one
MOST_SEEDS = 2**31

Examples = Annotated[int, Field(ge=1, le=MOST_EXAMPLES)]
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
BatchSize = Annotated[int, Field(ge=1, le=MOST_BATCH)]


def _check_size(size: float) -> float:
    if size < 0 or (size >= 1 and size != int(size)):
        raise ValueError(f"{size} is no size of a split; a size is a share below 1 or a whole number of examples")
    if size > MOST_EXAMPLES:
        raise ValueError(f"{size:g} examples are too many; the most are {MOST_EXAMPLES}")
    return size


def _check_classes(names: list[str]) -> list[str]:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"'{twice}' is named twice; each class has a name of its own")
    for name in names:
        if not name.strip() or name != name.strip():
            raise ValueError(f"{name!r} is no name of a class; a name has signs to see, and no space around them")
    if len(names) < 2:
        raise ValueError(f"{names} are too few classes; classification takes at least two")
    return names


def _check_label_columns(names: list[str]) -> list[str]:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"'{twice}' is named twice; each label has a column of its own")
    return names


def check_encoding(name: str) -> str:
    """Return the name of an encoding of texts. Raises ValueError: there is no such encoding."""
    try:
        "a".encode(name)
        if codecs.lookup(name).name in _NOT_OF_FILES:
            raise LookupError
    except (LookupError, ValueError) as error:
        raise ValueError(f"there is no encoding '{name}'; {suggest_nearest(name, _ENCODINGS)}") from error
    return name


_NOT_OF_FILES = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape")
_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "cp1251", "gb18030", "shift_jis", "euc-kr", "big5")


def _check_phase_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", name):
        raise ValueError(
            f"{quote(name)} is no name of a phase; it is at most 40 of the letters A-Z and a-z, digits, - and _, and "
            "begins with a letter"
        )
    return name


def _check_splits(value: Any) -> Any:
    if value is None or value == "none":
        return value
    example = 'such as {train = "training", test = ["fold4", "fold5"]}'
    if not isinstance(value, dict):
        raise ValueError(f'{quote(value)} says no splits; this is a table of folders, {example}, or "none"')
    for split, given in value.items():
        if split not in _ROLES:
            raise ValueError(f"'{split}' is no split; {suggest_nearest(split, _ROLES)}")
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError(
                f"{split} = {quote(given)} names no folder; each split is a folder or a list of them, {example}"
            )
    if "train" not in value:
        raise ValueError(f"no folder trains; a table of splits names one for train, {example}")
    return value


def _check_class_weights(value: Any) -> Any:
    if value in ("none", "balanced"):
        return value
    if not isinstance(value, dict) or not value:
        given = quote(value) if isinstance(value, str) else repr(value)
        raise ValueError(
            f"{given} gives no weights; they are 'none', 'balanced', or a table of numbers by class, such as "
            "{ rare = 5.0 }"
        )
    for name, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= MOST_WEIGHT:
            raise ValueError(f"{weight!r} is no weight of '{name}'; a weight is above 0 and at most {MOST_WEIGHT:,.0f}")
    return {name: float(weight) for name, weight in value.items()}


_ROLES: tuple[Role, ...] = ("train", "validation", "test")
_FOLDERS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
SplitFolders = Annotated[
    Any,
    BeforeValidator(_check_splits),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "none"},
                {
                    "type": "object",
                    "properties": dict.fromkeys(_ROLES, _FOLDERS),
                    "required": ["train"],
                    "additionalProperties": False,
                },
                {"type": "null"},
            ]
        }
    ),
]
ClassWeights = Annotated[
    Any,
    BeforeValidator(_check_class_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["none", "balanced"]},
                {
                    "type": "object",
                    "additionalProperties": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_WEIGHT},
                    "minProperties": 1,
                },
            ]
        }
    ),
]
SplitSize = Annotated[float, AfterValidator(_check_size)]
# What pydantic puts into an error's location beside the recipe's own keys: which form of the learning rate was tried,
# and that it is about a table's key.
_NUMBER, _TABLE = "<number>", "<table>"
MARKS = (_NUMBER, _TABLE, "[key]")


def _find_rate_form(value: Any) -> str | None:
    return _TABLE if isinstance(value, dict) else _NUMBER if isinstance(value, int | float) else None


def _parse_by(parse: Callable[[str], Any]) -> GetPydanticSchema:
    """Have the schema read a string, keep what `parse` makes of it, and write a string again."""

    def schema(source: Any, handler: Callable[[Any], core_schema.CoreSchema]) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(str)
        return core_schema.no_info_after_validator_function(parse, handler(str), serialization=written)

    return GetPydanticSchema(schema)


ParsedRule = Annotated[Rule, _parse_by(Rule)]
ParsedSelections = Annotated[Selections, _parse_by(Selections)]
Rate = Annotated[float, Field(ge=LEAST_RATE, le=MOST_RATE)]
ALL = Selections("all")
Rates = Annotated[dict[ParsedSelections, Rate], Field(min_length=1)]
LearningRate = Annotated[
    Annotated[Rate, Tag(_NUMBER)] | Annotated[Rates, Tag(_TABLE)],
    Discriminator(
        _find_rate_form,
        custom_error_type="learning_rate",
        custom_error_message="should be a number or a table of numbers such as { backbone = 1e-5, head = 1e-3 }",
    ),
]
ClassNames = Annotated[list[str], AfterValidator(_check_classes)]
LabelColumns = Annotated[list[str], Field(min_length=2), AfterValidator(_check_label_columns)]
Encoding = Annotated[str, AfterValidator(check_encoding)]
PhaseName = Annotated[str, AfterValidator(_check_phase_name)]
PresetUri = Annotated[str, AfterValidator(presets.resolve)]
SourceUri = Annotated[str, AfterValidator(sources.resolve)]
