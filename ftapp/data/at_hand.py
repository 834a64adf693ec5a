"""Which data need no download."""

from __future__ import annotations

from ftapp.common import downloads
from ftapp.recipe import sources


def is_at_hand(uri: str) -> bool:
    """Tell whether data can be read without a network: they are local, or the cache has them.

    Args:
        uri: The source, such as `data.source` of a recipe.
    """
    source = sources.parse(uri)
    if source.artifact:
        return downloads.is_cached(source.artifact)
    if source.scheme == "tfds":
        from ftapp.data import tfds_source

        return tfds_source.is_prepared(source)
    if source.scheme == "hf":
        from ftapp.data import hub_table

        return hub_table.is_cached(source)
    if source.scheme == "gutenberg":
        from ftapp.data import gutenberg

        return gutenberg.is_cached(source)
    return True
