"""Which models and data of a hub may be downloaded: those that the user asked for."""

from __future__ import annotations

from ftapp.recipe import Recipe, presets, sources


class HubPermission:
    """Remembers what the user asked to fetch from a hub, so that a preview downloads nothing else."""

    def __init__(self) -> None:
        self._granted: set[str] = set()

    def find_missing(self, recipe: Recipe) -> list[str]:
        """Find what a recipe needs from a hub and the user has not asked for.

        Args:
            recipe: The resolved recipe.

        Returns:
            The preset, the data source, both or neither.
        """
        preset, source = recipe.model.preset, recipe.data.source
        on_hub = [*[preset] * presets.is_on_hub(preset), *[source] * sources.is_on_hub(source)]
        return [uri for uri in on_hub if uri not in self._granted]

    def grant(self, recipe: Recipe) -> None:
        """Allow the download of a recipe's model and data."""
        self._granted.update(self.find_missing(recipe))
