"""Recipes: what a run does, read from TOML and checked.

Nothing here imports Keras, so that a bad recipe is refused in a fraction of a second and the interface can edit
recipes. The names below are imported when they are used: a module of this package that needs no Pydantic does not
wait for it.
"""

from typing import TYPE_CHECKING

from ftapp.common.lazy_names import import_on_use

if TYPE_CHECKING:
    from ftapp.common.resources import bundled as bundled
    from ftapp.recipe.data_schema import Augment as Augment
    from ftapp.recipe.data_schema import Balance as Balance
    from ftapp.recipe.data_schema import Data as Data
    from ftapp.recipe.files import RecipeWithArms as RecipeWithArms
    from ftapp.recipe.files import is_experiment as is_experiment
    from ftapp.recipe.files import list_arms as list_arms
    from ftapp.recipe.files import list_hubless_profiles as list_hubless_profiles
    from ftapp.recipe.files import list_profiles as list_profiles
    from ftapp.recipe.files import load as load
    from ftapp.recipe.files import load_experiment as load_experiment
    from ftapp.recipe.files import parse as parse
    from ftapp.recipe.files import read_tables as read_tables
    from ftapp.recipe.lookup import copy_to as copy_to
    from ftapp.recipe.lookup import find as find
    from ftapp.recipe.lookup import find_name_problem as find_name_problem
    from ftapp.recipe.measures import MEASURES as MEASURES
    from ftapp.recipe.measures import MeasureName as MeasureName
    from ftapp.recipe.overrides import make_arm_prefix as make_arm_prefix
    from ftapp.recipe.overrides import parse_value as parse_value
    from ftapp.recipe.phase_schema import Phase as Phase
    from ftapp.recipe.raw_tables import read as read
    from ftapp.recipe.schema import Checkpoints as Checkpoints
    from ftapp.recipe.schema import Evaluate as Evaluate
    from ftapp.recipe.schema import Finding as Finding
    from ftapp.recipe.schema import Frozen as Frozen
    from ftapp.recipe.schema import Keep as Keep
    from ftapp.recipe.schema import Model as Model
    from ftapp.recipe.schema import Recipe as Recipe
    from ftapp.recipe.schema import Samples as Samples
    from ftapp.recipe.schema import StopRule as StopRule
    from ftapp.recipe.schema import say_too_long as say_too_long
    from ftapp.recipe.schema import suits as suits
    from ftapp.recipe.section import Section as Section
    from ftapp.recipe.sweep_schema import Sweep as Sweep
    from ftapp.recipe.tasks import TASKS as TASKS
    from ftapp.recipe.tasks import Head as Head
    from ftapp.recipe.tasks import Task as Task
    from ftapp.recipe.track_schema import Track as Track
    from ftapp.recipe.value_types import Backend as Backend
    from ftapp.recipe.value_types import Optimizer as Optimizer
    from ftapp.recipe.value_types import Precision as Precision

__getattr__ = import_on_use(
    __name__,
    {
        "ftapp.recipe.data_schema": "Augment Balance Data",
        "ftapp.recipe.files": (
            "RecipeWithArms is_experiment list_arms list_hubless_profiles list_profiles load load_experiment parse "
            "read_tables"
        ),
        "ftapp.recipe.lookup": "copy_to find find_name_problem",
        "ftapp.recipe.overrides": "make_arm_prefix parse_value",
        "ftapp.recipe.measures": "MEASURES MeasureName",
        "ftapp.recipe.schema": (
            "Checkpoints Evaluate Finding Frozen Keep Model Recipe Samples StopRule say_too_long suits"
        ),
        "ftapp.recipe.phase_schema": "Phase",
        "ftapp.recipe.raw_tables": "read",
        "ftapp.recipe.section": "Section",
        "ftapp.recipe.sweep_schema": "Sweep",
        "ftapp.recipe.tasks": "TASKS Head Task",
        "ftapp.recipe.track_schema": "Track",
        "ftapp.recipe.value_types": "Backend Optimizer Precision",
        "ftapp.common.resources": "bundled",
    },
)
