"""What there is to choose from: data sources and pretrained models that suit a task."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftapp import recipe
from ftapp.common.errors import RecipeError
from ftapp.common.formatting import list_names
from ftapp.recipe import TASKS, presets, sources


@dataclass(frozen=True)
class Offer:
    """Something to choose.

    name: what it is called in a list; note: what it is, in a few words; value: what the field then holds, of a file or
    folder that is still to be picked what stands before its path; suffixes: of the files to pick from, in lower case,
    empty for a folder, None where nothing is to be picked.
    """

    name: str
    note: str
    value: str
    suffixes: tuple[str, ...] | None = None


_IMAGES = Offer("folder:FOLDER", "of this machine, with a sub-folder of images for each class", "folder:", ())
_TABLES = (
    Offer("csv:FILE", "of this machine, with a column of texts and one of labels", "csv:", (".csv",)),
    Offer("jsonl:FILE", "of this machine, JSON lines with texts and labels", "jsonl:", (".jsonl", ".ndjson")),
)
_TEXTS = (
    Offer("text:FILE", "a text of this machine", "text:", (".txt", ".md", ".text")),
    Offer("text:FOLDER", "all text files in a folder of this machine", "text:", ()),
)
_PRESET_FOLDER = Offer("FOLDER", "of this machine that holds config.json", "", ())

_LOCAL: dict[str, tuple[Offer, ...]] = {"images": (_IMAGES,), "texts": _TEXTS, "rows": _TABLES}
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
    },
    "causal-lm": {
        "gutenberg:11": "Alice's Adventures in Wonderland; any number of Project Gutenberg's books",
        "gutenberg:1342": "Pride and Prejudice",
    },
}


def source_offers(task: str) -> list[Offer]:
    """Data sources for a task: files of this machine, named data sets, and what recipes that come with ftapp use."""
    named, kinds = _NAMED.get(task, {}), TASKS[task].sources if task in TASKS else ()
    local = (offer for kind in kinds for offer in _LOCAL.get(kind, ()))
    offers = [*local, *(Offer(uri, _of_hub(uri, note), uri) for uri, note in named.items())]
    for uri, users in _used(task, "data.source").items():
        if uri not in named:
            offers.append(Offer(_short(uri), f"as in {list_names(users, 1)}", uri))
    return offers


def preset_offers(task: str) -> list[Offer]:
    """Pretrained models for a task: those of recipes that come with ftapp, a folder of this machine, and KerasHub's."""
    used = _used(task, "model.preset")
    offers = [Offer(presets.short_name(uri), f"as in {list_names(users, 1)}", uri) for uri, users in used.items()]
    offers.append(_PRESET_FOLDER)
    offers += [Offer(name, "from KerasHub", name) for name in presets.hub_names_for(task) if name not in used]
    return offers


def _of_hub(uri: str, note: str) -> str:
    return f"{note}; a download" if sources.on_hub(uri) else note


def _short(uri: str) -> str:
    """A source without the hash of its file."""
    return uri.partition("#")[0]


@functools.cache
def _used(task: str, key: str) -> dict[str, tuple[str, ...]]:
    """The values of a key in recipes that come with ftapp, with the recipes that have each of them."""
    found: dict[str, list[str]] = {}
    for name, value in _values(task, key):
        names = found.setdefault(value, [])
        if name not in names:
            names.append(name)
    return {value: tuple(names) for value, names in found.items()}


def _values(task: str, key: str) -> Iterator[tuple[str, str]]:
    section, _, last = key.partition(".")
    for name, path in recipe.bundled().items():
        try:
            for profile in (None, *recipe.profiles(path)):
                tables = recipe.tables(path, profile, [])
                if tables.get("task") == task:
                    yield name, str(tables[section][last])
        except (RecipeError, KeyError):
            continue  # of a recipe that is being written


def start_folder(value: str) -> Path:
    """Where to begin to pick a file: at the one that a field holds already, else in the current folder."""
    path = Path(value.partition(":")[2] or value).expanduser()
    found = next((each for each in (path, *path.parents) if each.is_dir()), None)
    return found if found is not None and value and found != Path(path.anchor) else Path.cwd()
