"""What a checkpoint says of the recipe that it fits."""

from __future__ import annotations

from ftapp import recipe as recipes
from ftapp.runs.checkpoints import hash_recipe

RECIPE = """
title = "Digits"
summary = "Ten digits."
task = "image-classification"
model = { preset = "vgg_16_imagenet", image_size = [48, 48] }
data = { source = "sklearn:digits", limit = 200 }
[[phase]]
name = "head"
layers = ["freeze all", "train head"]
steps = 10
learning_rate = { head = 0.01 }
"""


def test_the_hash_of_a_recipe_stays_whatever_keys_recipes_get_later() -> None:
    given = recipes.parse(RECIPE)
    assert hash_recipe(given) == hash_recipe(recipes.parse(given.to_toml())) == "d1adeb815c0a27893343ccae1c142662"
    assert (
        hash_recipe(recipes.parse(RECIPE.replace("limit = 200", "limit = 201"))) != "d1adeb815c0a27893343ccae1c142662"
    )
