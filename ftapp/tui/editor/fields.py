"""The keys of a recipe as fields of a form. Their kinds, choices and meanings are read from the schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ftapp import recipe
from ftapp.experiments.sweep.check_values import find_obstacle
from ftapp.recipe import Recipe, Section
from ftapp.recipe.toml_text import format_value

Kind = Literal["choice", "switch", "text", "texts", "numbers", "value"]


@dataclass(frozen=True)
class Field:
    """A key of a recipe, to be shown and changed.

    Attributes:
        key: The dotted key, without the name of a phase (phase.epochs).
        kind: A choice, a truth value, plain text, a list of texts or of numbers, or another value (a number, a table).
        choices: The values of a choice.
        default: The value of a missing key.
        required: Whether the key must be there.
        description: What the key means.
    """

    key: str
    kind: Kind
    choices: tuple[str, ...]
    default: Any
    required: bool
    description: str

    @property
    def is_path(self) -> bool:
        """Whether the end of the value matters most, such as the name of a file."""
        return self.key in ("data.source", "model.preset")

    @property
    def has_offers(self) -> bool:
        """Whether there is a list of values to choose from, beside what can be typed."""
        return self.is_path or self.key == TARGET

    @property
    def can_be_searched(self) -> bool:
        """Whether a sweep can try values of the key."""
        return not self.key.startswith((EXPERIMENT, TARGET)) and find_obstacle(self.key) is None

    def read(self, text: str) -> Any:
        """Parse a text to a value, valid or not; an empty text to None, which removes the key."""
        if not text.strip():
            return None
        if self.kind == "text":
            return text.strip()
        if self.kind in ("texts", "numbers") and not text.lstrip().startswith("["):
            parsed = recipe.parse_value(f"[{text}]")
            if isinstance(parsed, list):
                return parsed
            parts = [part.strip() for part in text.split(",")]
            # Each number for itself, so that a message names only the parts that are no numbers.
            return parts if self.kind == "texts" else [recipe.parse_value(part) if part else part for part in parts]
        return recipe.parse_value(text)

    def write(self, value: Any) -> str:
        """Format a value for editing, so that `read` reads it back; "" for None."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        text = format_value(value)
        return text[1:-1] if isinstance(value, list) else text


EXPERIMENT = "experiment."
"""The prefix of the options of an experiment, which are fields of a form and not of a recipe."""

TARGET = "launch.on"
"""The key of the target of a run, which is a field of a form and not of a recipe."""

_TARGET = Field(
    TARGET,
    "text",
    (),
    None,
    False,
    "Where the run goes: `local`, a name from settings.toml, `slurm:PARTITION` or `ray://HOST`, with options such as "
    "`slurm:gpu?time=8h&gpus=1`. On the command line: --on.",
)
_OPTIONS = {
    "repeats": Field(
        f"{EXPERIMENT}repeats",
        "choice",
        tuple(map(str, range(1, 11))),
        1,
        False,
        "The number of seeds with which each arm runs. With three or more, intervals hold for other seeds too. "
        "On the command line: --repeat.",
    ),
    "jobs": Field(
        f"{EXPERIMENT}jobs",
        "choice",
        tuple(map(str, range(1, 9))),
        1,
        False,
        "The number of runs at the same time. Times are compared only where it is 1. On the command line: --jobs.",
    ),
    "control": Field(
        f"{EXPERIMENT}control",
        "switch",
        (),
        False,
        False,
        "Whether the first arm runs a second time. The difference between the two runs is noise. On the command "
        "line: --control.",
    ),
    "sweep": Field(
        f"{EXPERIMENT}sweep",
        "switch",
        (),
        False,
        False,
        "Whether the values below are searched: each trial is a run with some of them, and the best trials run again "
        "with new seeds before one is named the winner. On the command line: ftapp sweep.",
    ),
    "arm": Field(
        f"{EXPERIMENT}arm",
        "choice",
        (),
        None,
        False,
        "The arm that is searched, or the recipe without its arms. On the command line: --arm.",
    ),
}


@functools.cache
def find_field(key: str) -> Field:
    """Find the field of a key.

    Args:
        key: Such as data.limit, phase.epochs, seed or experiment.jobs.

    Raises:
        KeyError: There is no such key.
    """
    if key == TARGET:
        return _TARGET
    if key.startswith(EXPERIMENT):
        return _OPTIONS[key.removeprefix(EXPERIMENT)]
    section: type[Section] = Recipe
    *path, name = key.split(".")
    for part in path:
        section = next(each for each in _parts(section.model_fields[part].annotation) if issubclass(each, Section))
    info = section.model_fields[name]
    parts = list(_parts(info.annotation))
    choices = tuple(each for each in _choices(info.annotation))
    kind: Kind = "value"
    if choices and dict not in parts:
        kind = "choice"
    elif bool in parts:
        kind = "switch"
    elif list in parts:
        kind = "numbers" if {int, float} & set(_items(info.annotation)) else "texts"
    elif str in parts:
        kind = "text"
    default = None if info.is_required() else info.get_default()
    return Field(key, kind, choices, default, info.is_required(), " ".join((info.description or "").split()))


def _parts(annotation: Any) -> Iterator[Any]:
    """The classes that a value of this type may have. A list of sections counts as the section."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _parts(each)
    elif origin is list:
        item = next(_parts(get_args(annotation)[0]))
        yield item if isinstance(item, type) and issubclass(item, Section) else list
    elif origin is not None:
        yield origin
    elif annotation is not NoneType:
        yield annotation


def _items(annotation: Any) -> Iterator[Any]:
    """Yield the classes that an item of a list may have."""
    if get_origin(annotation) is list:
        yield from _parts(get_args(annotation)[0])
    else:
        for each in get_args(annotation):
            yield from _items(each)


def _choices(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
