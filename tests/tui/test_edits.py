"""Fields as the schema has them, and changes to drafts as a form makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftapp import recipe
from ftapp.common.errors import Problem, RecipeError
from ftapp.tui.editor import edits
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.fields import find_field

TWO = """
title = "t"
summary = "s"
task = "image-classification"
[model]
preset = "vgg_16_imagenet"
image_size = [64, 64]
[data]
source = "sklearn:digits"
limit = 100
[augment]
rotation = 10.0
[[phase]]
name = "head"
epochs = 3
clip_norm = 1.0
[[phase]]
name = "finetune"
steps = 10
learning_rate = { backbone = 1e-5, "attention & last:2" = 1e-4 }
[profile.small]
data.limit = 50
phase.head.epochs = 1
"""


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    file = tmp_path / "two.toml"
    file.write_text(TWO, encoding="utf-8")
    return Draft(file)


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("data.limit", "value", None),
        ("data.source", "text", None),
        ("data.classes", "texts", None),
        ("model.image_size", "numbers", None),
        ("model.hidden", "numbers", []),
        ("augment.translation", "numbers", [0.0, 0.0]),
        ("phase.learning_rate", "value", 1e-3),
        ("phase.schedule", "choice", "constant"),
        ("augment.fill_mode", "choice", "reflect"),
        ("frozen.cache", "switch", True),
        ("seed", "value", 0),
        ("samples.prompts", "texts", None),
    ],
)
def test_what_a_field_is_follows_from_the_schema(key: str, kind: str, default: object) -> None:
    found = find_field(key)
    assert (found.kind, found.default) == (kind, default)
    assert len(found.description) > 10


def test_choices_and_required_keys_follow_from_the_schema() -> None:
    assert find_field("backend").choices == ("tensorflow", "jax", "torch")
    assert find_field("evaluate.split").choices == ("validation", "test")
    assert find_field("data.source").required
    assert not find_field("data.limit").required
    with pytest.raises(KeyError):
        find_field("data.nothing")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("data.limit", "100", 100),
        ("data.limit", "", None),
        ("data.limit", "many", "many"),
        ("data.source", " csv:a.csv ", "csv:a.csv"),
        ("data.text_column", "12", "12"),
        ("model.image_size", "64, 32", [64, 32]),
        ("model.image_size", "48, 48l", [48, "48l"]),
        ("model.hidden", "[256]", [256]),
        ("data.classes", "neg, 1", ["neg", "1"]),
        ("data.classes", "bad, good", ["bad", "good"]),
        ("data.classes", '"bad, very", "good"', ["bad, very", "good"]),
        ("phase.learning_rate", "3e-5", 3e-5),
        ("phase.learning_rate", "{ head = 1e-3 }", {"head": 1e-3}),
    ],
)
def test_a_text_is_read_as_a_value_and_written_so_that_it_reads_back(key: str, text: str, value: object) -> None:
    assert find_field(key).read(text) == value
    assert find_field(key).read(find_field(key).write(value)) == value


def test_only_the_part_of_a_list_that_is_no_number_is_wrong(draft: Draft) -> None:
    value = find_field("model.image_size").read("48, 48l")
    with pytest.raises(RecipeError) as caught:
        edits.set_value(draft, "model.image_size", value).load()
    assert [problem.message for problem in caught.value.problems] == ["'48l' is no whole number"]


def test_a_change_is_kept_only_where_it_changes_something(draft: Draft) -> None:
    changed = edits.set_value(draft, "data.limit", 60)
    assert changed.changes == {"data.limit": 60}
    assert edits.set_value(changed, "data.limit", 100) == draft
    assert edits.set_value(draft, "phase.head.batch_size", 32) == draft  # the default
    small = Draft(draft.path, "small")
    assert edits.set_value(small, "data.limit", 50) == small
    assert edits.set_value(small, "data.limit", 100).changes == {"data.limit": 100}


def test_a_key_is_taken_away(draft: Draft) -> None:
    without = edits.set_value(edits.set_value(draft, "data.limit", None), "phase.head.clip_norm", None)
    assert without.overrides == ["data.limit=", "phase.head.clip_norm="]
    loaded = without.load()
    assert (loaded.data.limit, loaded.phase[0].clip_norm) == (None, None)
    assert recipe.load(without.path, None, without.overrides) == loaded


def test_epochs_and_steps_take_each_others_place(draft: Draft) -> None:
    stepped = edits.set_value(edits.set_value(draft, "phase.head.epochs", 5), "phase.head.steps", 7)
    assert (stepped.load().phase[0].epochs, stepped.load().phase[0].steps) == (None, 7)
    back = edits.set_value(stepped, "phase.head.epochs", 3)
    assert back == draft


def test_phases_are_added_renamed_and_removed(draft: Draft) -> None:
    edited = edits.set_value(draft, "phase.head.epochs", 4)
    edited, name = edits.add_phase(edited, "head")
    assert [phase.name for phase in edited.load().phase] == ["head", name, "finetune"]
    assert edited.load().phase[1].epochs == 4
    edited = edits.set_value(edits.rename_phase(edited, name, "middle"), "phase.middle.epochs", 9)
    assert edited.load().phase[1].epochs == 9
    assert recipe.load(edited.path, None, edited.overrides) == edited.load()
    edited = edits.remove_phase(edits.set_value(edited, "phase.middle.epochs", 4), "middle")
    assert edited.load() == edits.set_value(draft, "phase.head.epochs", 4).load()
    alone = edits.remove_phase(edits.remove_phase(draft, "head"), "finetune")
    assert [phase.name for phase in alone.load().phase] == ["finetune"]


@pytest.mark.parametrize("name", ["", None, "a.b", "1st", "a=b", "finetune"])
def test_a_name_that_no_phase_can_have_is_refused(name: object) -> None:
    assert edits.check_phase_name(name, ["head", "finetune"])
    assert edits.check_phase_name("last-block_2", ["head", "finetune"]) is None


def test_a_table_is_used_or_not(draft: Draft) -> None:
    turned = edits.set_value(draft, "augment.zoom", 0.1)
    off = edits.use_table(turned, "augment", False)
    assert off.load().augment is None
    assert edits.use_table(off, "augment", True) == draft
    plain = edits.use_table(
        edits.replace_phases(Draft(recipe.bundled()["vgg16-feature-extractor"]), []), "augment", True
    )
    assert plain.changes["augment"] == {}


def test_problems_find_their_fields() -> None:
    problems = [
        Problem("", "data.limit", "too small"),
        Problem("", "model.image_size.0", "too small"),
        Problem("", "phase.head", "no length"),
        Problem("", "", "no recipe"),
        Problem("", "data.limit", "odd"),
    ]
    messages, rest = edits.assign_problems(problems, ["data", "data.limit", "model.image_size", "phase.head.epochs"])
    assert messages == {"data.limit": "too small; odd", "model.image_size": "too small"}
    assert [problem.message for problem in rest] == ["no length", "no recipe"]


def test_a_form_shows_a_draft_that_is_not_valid(draft: Draft) -> None:
    form = Form.of(edits.set_value(draft, "data.limit", "many"), "finetune")
    assert form.recipe is None
    assert [problem.key for problem in form.problems] == ["data.limit"]
    assert form.value("data.limit") == "many"
    assert form.value(form.key("phase.steps")) == 10
    assert form.phases == ["head", "finetune"]
    assert Form.of(draft, "gone").phase == "head"
