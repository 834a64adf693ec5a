"""The data sources and pretrained models that suit a task."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import join_names
from ftapp.recipe import TASKS, presets, sources


@dataclass(frozen=True)
class Offer:
    """A data source, a pretrained model or a target in a list.

    Attributes:
        name: The name in the list.
        note: A description in a few words.
        value: The value of the field, or its beginning where a file or folder is still to be picked.
        suffixes: The suffixes of the files to pick from, in lower case; empty to pick a folder, None to pick nothing.
    """

    name: str
    note: str
    value: str
    suffixes: tuple[str, ...] | None = None


_FILES = (
    Offer("folder:FOLDER", "on this machine, with a sub-folder of files for each class", "folder:", ()),
    Offer("folder:ARCHIVE", "a zip or tar file with such a folder", "folder:", sources.ARCHIVES),
)
_TABLES = tuple(
    offer
    for scheme, kind in {"csv": "a CSV", "jsonl": "a JSON lines", "parquet": "a Parquet", "arrow": "an Arrow"}.items()
    for offer in (
        Offer(f"{scheme}:FILE", f"{kind} table on this machine", f"{scheme}:", sources.list_suffixes(scheme)),
        Offer(f"{scheme}:FOLDER", f"{kind} table in the files of a folder on this machine", f"{scheme}:", ()),
    )
)
_TEXTS = (
    Offer("text:FILE", "a text file on this machine", "text:", (".txt", ".md", ".text")),
    Offer("text:FOLDER", "all text files in a folder on this machine", "text:", ()),
)
_PRESET_FOLDER = Offer("FOLDER", "on this machine, with a config.json", "", ())

_LOCAL: dict[str, tuple[Offer, ...]] = {"files": _FILES, "texts": _TEXTS, "rows": _TABLES}
"""By the kind of source."""
_NAMED = {
    "image-classification": {
        "sklearn:digits": "1,797 handwritten digits of 8 x 8 pixels, 10 classes; comes with scikit-learn",
        "tfds:tf_flowers": "3,670 photos of 5 kinds of flowers",
        "tfds:cats_vs_dogs": "23,262 photos of cats and dogs",
        "tfds:cifar10": "60,000 photos of 32 x 32 pixels, 10 classes",
        "tfds:colorectal_histology": "5,000 images of 8 kinds of tissue under a microscope",
        "tfds:eurosat/rgb": "27,000 satellite images of 10 kinds of land",
        "tfds:mnist": "70,000 handwritten digits of 28 x 28 pixels",
    },
    "text-classification": {
        "tfds:imdb_reviews": "50,000 film reviews, positive and negative",
        "tfds:ag_news_subset": "127,600 news items of 4 kinds",
        "hf:stanfordnlp/imdb": "50,000 film reviews; any data set of Hugging Face, as hf:OWNER/NAME",
    },
    "causal-lm": {
        "gutenberg:11": "Alice's Adventures in Wonderland; any number of Project Gutenberg's books",
        "gutenberg:1342": "Pride and Prejudice",
    },
}


def list_sources(task: str) -> list[Offer]:
    """List data sources for a task: files on this machine, named data sets, and those of bundled recipes."""
    named, kinds = _NAMED.get(task, {}), TASKS[task].sources if task in TASKS else ()
    local = (offer for kind in kinds for offer in _LOCAL.get(kind, ()))
    offers = [*local, *(Offer(uri, _note_download(uri, note), uri) for uri, note in named.items())]
    for uri, users in _find_used(task, "data.source").items():
        if uri not in named:
            offers.append(Offer(_shorten_uri(uri), f"as in {join_names(users, 1)}", uri))
    return offers


def list_presets(task: str) -> list[Offer]:
    """List pretrained models for a task: those of bundled recipes, a folder on this machine, and KerasHub's."""
    used = _find_used(task, "model.preset")
    offers = [Offer(presets.get_short_name(uri), f"as in {join_names(users, 1)}", uri) for uri, users in used.items()]
    offers.append(_PRESET_FOLDER)
    offers += [Offer(name, "from KerasHub", name) for name in presets.list_hub_names_for(task) if name not in used]
    return offers


def _note_download(uri: str, note: str) -> str:
    return f"{note}; a download" if sources.is_on_hub(uri) else note


def _shorten_uri(uri: str) -> str:
    """Remove the hash of the file from a source."""
    return uri.partition("#")[0]


@functools.cache
def _find_used(task: str, key: str) -> dict[str, tuple[str, ...]]:
    """Find the values of a key in bundled recipes, with the recipes that have each value."""
    found: dict[str, list[str]] = {}
    for name, value in _list_values(task, key):
        names = found.setdefault(value, [])
        if name not in names:
            names.append(name)
    return {value: tuple(names) for value, names in found.items()}


def _list_values(task: str, key: str) -> Iterator[tuple[str, str]]:
    section, _, last = key.partition(".")
    for name, path in recipe.bundled().items():
        try:
            for profile in (None, *recipe.list_profiles(path)):
                tables = recipe.read_tables(path, profile, [])
                if tables.get("task") == task:
                    yield name, str(tables[section][last])
        except (RecipeError, KeyError):
            continue  # of a recipe that is being written
