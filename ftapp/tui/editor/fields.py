"""The keys of a recipe as fields of a form: what kind each is, its choices, its meaning; all read from the schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ftapp import recipe
from ftapp.recipe import Recipe, Section
from ftapp.recipe.toml_text import format_value

Kind = Literal["choice", "switch", "text", "list", "value"]


@dataclass(frozen=True)
class Field:
    """A key of a recipe, to be shown and changed.

    key: dotted, without the name of a phase (phase.epochs); kind: one of `choices`, a truth value, plain text, a list,
    or another value (a number, a table); default: what holds where the key is missing; required: whether it may be.
    """

    key: str
    kind: Kind
    choices: tuple[str, ...]
    default: Any
    required: bool
    description: str

    @property
    def is_path(self) -> bool:
        """Whether the end of its value, such as a file's name, tells most."""
        return self.key in ("data.source", "model.preset")

    def read(self, text: str) -> Any:
        """The value that a text stands for, right or wrong; None where it is empty, which takes the key away."""
        if not text.strip():
            return None
        if self.kind == "text":
            return text.strip()
        if self.kind == "list" and not text.lstrip().startswith("["):
            parsed = recipe.parse_value(f"[{text}]")
            return parsed if isinstance(parsed, list) else [part.strip() for part in text.split(",")]
        return recipe.parse_value(text)

    def write(self, value: Any) -> str:
        """A value as one edits it, which `read` reads back; "" for None."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        text = format_value(value)
        return text[1:-1] if isinstance(value, list) else text


EXPERIMENT = "experiment."
"""What the keys of `experiment_folder.Options` begin with, which are fields of a form though not of a recipe."""

_OPTIONS = {
    "repeats": Field(
        f"{EXPERIMENT}repeats",
        "choice",
        tuple(map(str, range(1, 11))),
        1,
        False,
        "With how many seeds each arm is run. From three on, intervals speak of seeds and not only of these runs. "
        "On the command line: --repeat.",
    ),
    "jobs": Field(
        f"{EXPERIMENT}jobs",
        "choice",
        tuple(map(str, range(1, 9))),
        1,
        False,
        "How many runs go on at once. Times are compared only where it is one. On the command line: --jobs.",
    ),
    "control": Field(
        f"{EXPERIMENT}control",
        "switch",
        (),
        False,
        False,
        "Whether the first arm is run a second time: what these two differ by is noise. On the command line: "
        "--control.",
    ),
}


@functools.cache
def field(key: str) -> Field:
    """The field of a key such as data.limit, phase.epochs, seed or experiment.jobs.

    Raises KeyError when there is no such key.
    """
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
        kind = "list"
    elif str in parts:
        kind = "text"
    default = None if info.is_required() else info.get_default()
    return Field(key, kind, choices, default, info.is_required(), " ".join((info.description or "").split()))


def _parts(annotation: Any) -> Iterator[Any]:
    """The classes that a value of this type may have, the items of lists and tables aside but for sections."""
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


def _choices(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
