"""Plans of layers by rules as a recipe has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftapp.freezing.layer_plan import LayerPlan, plan_layers
from ftapp.models.layers import describe_layers
from ftapp.recipe.layer_rules import Rule


def make_plan(model: Any, backbone: Any, rules: Sequence[str]) -> LayerPlan:
    return plan_layers(describe_layers(model, backbone), [Rule(text) for text in rules])
