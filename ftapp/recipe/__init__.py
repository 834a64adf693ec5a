"""Recipes: what a run does, read from TOML and checked.

Nothing here imports Keras, so that a bad recipe is refused in a fraction of a second and the interface can edit
recipes.
"""

from ftapp.recipe.files import (
    Experiment,
    arm_names,
    copy_to,
    find,
    hubless_profiles,
    load,
    load_experiment,
    misnamed,
    parse,
    profiles,
    read,
    tables,
)
from ftapp.recipe.overrides import of_arm, parse_value
from ftapp.recipe.schema import (
    Augment,
    Backend,
    Data,
    Evaluate,
    Finding,
    Frozen,
    Head,
    Measure,
    Model,
    Optimizer,
    Phase,
    Precision,
    Recipe,
    Samples,
    Section,
    suits,
    too_long,
)
from ftapp.resources import bundled

__all__ = [
    "Augment",
    "Backend",
    "Data",
    "Evaluate",
    "Experiment",
    "Finding",
    "Frozen",
    "Head",
    "Measure",
    "Model",
    "Optimizer",
    "Phase",
    "Precision",
    "Recipe",
    "Samples",
    "Section",
    "arm_names",
    "bundled",
    "copy_to",
    "find",
    "hubless_profiles",
    "load",
    "load_experiment",
    "misnamed",
    "of_arm",
    "parse",
    "parse_value",
    "profiles",
    "read",
    "suits",
    "tables",
    "too_long",
]
