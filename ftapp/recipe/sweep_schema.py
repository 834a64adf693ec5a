"""The table [sweep]: what `ftapp sweep` tries for some keys of the recipe, and how it judges them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ftapp.common.durations import parse_duration
from ftapp.common.errors import quote
from ftapp.recipe.raw_tables import flatten_tables
from ftapp.recipe.section import Section
from ftapp.recipe.spaces import Space, parse_space
from ftapp.recipe.tasks import WatchedMetric


def _flatten(given: Any) -> Any:
    if not isinstance(given, dict):
        raise ValueError(f"{quote(given)} is no table; it has keys of the recipe with the values to try")
    ways: dict[str, str] = {}
    for way in _list_ways(given):
        key = way.replace('"', "")
        if key in ways:
            raise ValueError(
                f"{key} is there twice, as {ways[key]} and as {way}; all values to try of a key stand in one"
            )
        ways[key] = way
    return flatten_tables(given)


def _list_ways(tables: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """List the keys of nested tables as TOML writes them: a part with dots stands in quotes."""
    for key, value in tables.items():
        way = f'{prefix}"{key}"' if "." in key else f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _list_ways(value, f"{way}.")
        else:
            yield way


def _check_values(given: Any) -> Any:
    parse_space(given)
    return given


def _check_time(text: str) -> str:
    parse_duration(text)
    return text


class Sweep(Section):
    """What `ftapp sweep` tries for some keys of the recipe, and how it judges them. `ftapp run` does not read it."""

    over: Annotated[
        dict[str, Annotated[Any, AfterValidator(_check_values)]],
        BeforeValidator(_flatten),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "array", "object"]}}),
    ] = {}
    """The keys with the values to try: log(1e-5, 1e-2) is even in the logarithm, linear(0, 0.5) in the number, and
    int(1, 8) are whole numbers, both ends included; a list has choices, such as [16, 32] or lists of layer rules."""
    metric: WatchedMetric | None = None
    """The metric of the validation split that is to become best. Without it, the first metric of the task."""
    trials: Annotated[int, Field(ge=2, le=10_000)] = 30
    """How many settings are tried at most, the recipe's own values first, up to 10,000."""
    time: Annotated[str, AfterValidator(_check_time)] | None = None
    """After this time, such as 2h or 90m, no further setting is tried. The best ones are repeated all the same."""
    finalists: Annotated[int, Field(ge=1, le=20)] = 3
    """How many of the best settings are compared with the recipe's own values over new seeds, at most 20."""
    repeats: Annotated[int, Field(ge=3, le=100)] = 5
    """The number of new seeds for this comparison, from 3 to 100."""
    pruning: Literal["median", "none"] = "median"
    """Whether a trial ends early: with median, where its best evaluation so far is worse than the median of the other
    trials after the same steps. Nothing is pruned where trials differ in the size or number of their steps."""

    @property
    def spaces(self) -> dict[str, Space]:
        """The values to try by key."""
        return {key: parse_space(values) for key, values in self.over.items()}
