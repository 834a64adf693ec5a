"""Groups, blocks and trainable flags on a tiny backbone of every family that KerasHub's tasks have."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import keras
import pytest
from keras_hub import models as hub

from ftapp.freezing import freeze
from ftapp.models.layers import describe_layers
from ftapp.recipe.layer_rules import WeightedLayer
from tests.support.families import FAMILIES
from tests.support.family_models import gemma3
from tests.support.plans import make_plan


@functools.cache
def built(family: str) -> tuple[Any, Any]:
    """The family's backbone and a model of all of it."""
    backbone = FAMILIES[family].make()
    return keras.Model(backbone.input, backbone.output), backbone


@functools.cache
def layers_of(family: str) -> list[WeightedLayer]:
    return [each.description for each in describe_layers(*built(family))]


def names(found: Iterable[WeightedLayer], group: str) -> list[str]:
    """The names of a group's layers in order of the alphabet, without what tells layers of one name apart."""
    last = (layer.path.rsplit("/", 1)[-1] for layer in found if group in layer.groups)
    return sorted(re.sub(r"^conformer_\d+_(attention|ffw_start|ffw_end)_|_\d+$", "", name) for name in last)


def trained(family: str, *rules: str) -> list[WeightedLayer]:
    return [decision.description for decision in make_plan(*built(family), rules).trained_layers]


every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.mark.parametrize("task", ["ImageClassifier", "TextClassifier", "CausalLM"])
def test_every_task_of_kerashub_has_its_family_here(task: str) -> None:
    tasks = {name: getattr(hub, name) for name in dir(hub) if name.endswith(task) and name != task}
    assert len(tasks) >= 8
    tested = {family.partition(" ")[0] for family in FAMILIES}
    assert {each.backbone_cls.__name__ for each in tasks.values()} <= tested


@every_family
def test_every_weight_belongs_to_one_layer(family: str) -> None:
    model, backbone = built(family)
    assert type(backbone).__name__ == family.partition(" ")[0]
    plan = make_plan(model, backbone, [])
    assert plan.parameters == model.count_params() == backbone.count_params()
    assert len({layer.path for layer in plan.descriptions}) == len(plan.descriptions)
    assert all("backbone" in layer.groups and "head" not in layer.groups for layer in plan.descriptions)


@every_family
def test_blocks_are_found_in_the_order_of_the_network(family: str) -> None:
    blocks = FAMILIES[family].blocks
    assert {layer.blocks for layer in layers_of(family)} == {len(blocks)}
    for layer in layers_of(family):
        if layer.block is None:
            assert not any(fnmatchcase(layer.path, block.layers) for block in blocks), layer.path
        else:
            assert fnmatchcase(layer.path, blocks[layer.block].layers), layer.path
    assert {layer.block for layer in layers_of(family)} - {None} == set(range(len(blocks)))


@every_family
def test_attention_mlp_and_norms_of_each_block(family: str) -> None:
    for index, block in enumerate(FAMILIES[family].blocks):
        found = [layer for layer in layers_of(family) if layer.block == index]
        assert names(found, "attention") == sorted(block.attention.split())
        assert names(found, "mlp") == sorted(block.mlp.split())
        assert names(found, "norms") or family == "VGGBackbone"
        assert not any({"attention", "mlp"} <= layer.groups or "embeddings" in layer.groups for layer in found)


@every_family
def test_embeddings_lie_outside_of_blocks_and_stems_are_none(family: str) -> None:
    outside = [layer for layer in layers_of(family) if layer.block is None]
    assert names(outside, "embeddings") == sorted(FAMILIES[family].embeddings.split())
    assert names(outside, "attention") == names(outside, "mlp") == []
    assert names(outside, "pooler") == (["pooled_dense"] if family.startswith(("Bert", "Albert", "FNet")) else [])


@every_family
def test_ranges_and_globs_choose_blocks(family: str) -> None:
    blocks = FAMILIES[family].blocks
    inside = [layer for layer in layers_of(family) if layer.block is not None]
    for rule, chosen in {
        "first:1": [0],
        "last:1": [len(blocks) - 1],
        "blocks[1:]": list(range(1, len(blocks))),
        "blocks[-2]": [len(blocks) - 2],
    }.items():
        assert trained(family, "freeze all", f"train {rule}") == [layer for layer in inside if layer.block in chosen]
    matching = [layer for layer in layers_of(family) if fnmatchcase(layer.path, blocks[-1].layers)]
    assert trained(family, "freeze all", f"train {blocks[-1].layers}") == matching


@every_family
@pytest.mark.parametrize("rules", [["freeze all", "train attention, norms"], ["freeze embeddings", "freeze mlp"]])
def test_the_optimizer_gets_what_the_rules_leave(family: str, rules: list[str]) -> None:
    model, backbone = built(family)
    plan = make_plan(model, backbone, rules)
    freeze.apply(model, plan)
    expected = {id(variable) for each in plan.trained_layers for variable in each.layer._trainable_variables}
    assert {id(variable) for variable in model.trainable_variables} == expected
    assert plan.trainable_parameters == sum(math.prod(variable.shape) for variable in model.trainable_variables)


def test_a_towers_own_number_is_not_a_blocks() -> None:
    backbones = [gemma3(), gemma3()]  # Keras names the second's tower gemma3_vision_encoder_N
    for backbone in backbones:
        assert {each.description.blocks for each in describe_layers(backbone, backbone)} == {4}
