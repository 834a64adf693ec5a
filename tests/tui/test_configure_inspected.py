"""The Configure screen: what the real helper process tells of models and data."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, Static

from ftapp import recipe
from ftapp.tui.editor.augment_pane import AugmentPane
from ftapp.tui.editor.class_bars import ClassBars
from ftapp.tui.editor.data_pane import DataPane
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers_pane import LayersPane
from ftapp.tui.widgets.cautions import Cautions
from ftapp.tui.widgets.dropdown import Dropdown
from ftapp.tui.widgets.pictures import Pictures
from tests.support.plans import make_plan
from tests.support.presets import Tiny, few_photos
from tests.tui.configuring import fill, line, opened, text_of, wait_for_helper, wrong
from tests.tui.harness import until


@pytest.mark.slow
async def test_a_text_classifier_is_inspected(text_recipe: str, tmp_path: Path) -> None:
    from ftapp.models import build

    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        pane, data = screen.query_one(LayersPane), screen.query_one(DataPane)
        await wait_for_helper(pilot, lambda: pane.choice)
        await until(pilot, lambda: isinstance(screen.focused, LayerTree))
        await pilot.press("a")
        await pilot.pause()
        assert screen.form.layers == ["freeze embeddings"]
        resolved = recipe.load(file)
        pretrained = build.load_pretrained(resolved, lambda *_: None)
        plan = make_plan(build.build(resolved, pretrained, 2), pretrained.backbone, ["freeze embeddings"])
        assert pane.choice
        assert pane.choice.trained == plan.trainable_parameters
        assert pane.choice.structure.parameters == plan.parameters
        await wait_for_helper(pilot, lambda: "memory" in text_of(screen.query_one("#cost")))
        assert "cached" in text_of(screen.query_one("#cost"))
        await wait_for_helper(pilot, lambda: "12 steps" in text_of(screen.query_one("#cost")))  # a step has been timed
        await wait_for_helper(pilot, lambda: "tokens" in " ".join(text_of(each) for each in data.query(".example")))
        assert "52 train · 8 validation · 20 test · 0 duplicates dropped" in text_of(screen.query_one("#sizes"))
        assert dict(data.query_one(ClassBars).counts) == {"negative": 40, "positive": 40}
        assert len(data.query(".example")) == 8
        await fill(screen, pilot, "data.test", "10")
        await wait_for_helper(pilot, lambda: "10 test" in text_of(screen.query_one("#sizes")))
        await fill(screen, pilot, "data.text_column", "body")
        await wait_for_helper(pilot, lambda: screen.query_one("#data-preview").has_class("-waiting"))
        await wait_for_helper(pilot, lambda: "body" in text_of(screen.query_one("#data-state")))
        await pilot.press("escape", "a")
        await pilot.pause()
        assert screen.form.layers == ["freeze embeddings, attention"]


@pytest.mark.slow
async def test_images_are_shown_as_they_are_and_augmented(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file), (200, 60)) as (screen, pilot):
        data, augment = screen.query_one(DataPane), screen.query_one(AugmentPane)
        shown = data.query_one(Pictures)
        await wait_for_helper(pilot, lambda: {text_of(each) for each in shown.query(".caption")} == {"across", "down"})
        assert len(shown.query(".caption")) == 8
        await wait_for_helper(pilot, lambda: len(augment.query(".picture")) == 3)
        augment.query_one("#use Switch").focus()
        await pilot.press("space")
        await fill(screen, pilot, "augment.rotation", "45")
        assert screen.form.draft.changes == {"augment": {}, "augment.rotation": 45}
        await wait_for_helper(pilot, lambda: len(augment.query(".picture")) == 15)
        before = augment._grid
        line(screen, "augment.fill_mode").query_one(Dropdown).focus()
        await pilot.press("right")
        await wait_for_helper(pilot, lambda: augment._grid != before)
        assert "may look" in text_of(screen.query_one("#grid-state"))
        screen.query_one("#use Switch").focus()
        await pilot.press("space")
        await pilot.pause()
        assert screen.form.draft.changes == {}


async def test_texts_are_shown_before_and_after(text_recipe: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe, encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        await pilot.press("f5")
        augment = screen.query_one(AugmentPane)
        shown = augment.query_one("#rewritten", Static)
        assert not shown.display
        augment.query_one("#use Switch").focus()
        await pilot.press("space")
        await wait_for_helper(pilot, lambda: "after" in text_of(shown))
        lines = text_of(shown).splitlines()
        pairs = list(zip(lines[1::4], lines[2::4], strict=True))
        assert len(pairs) == 3
        assert all(before[8:] == after[8:] for before, after in pairs)  # nothing is changed yet
        await fill(screen, pilot, "augment.token_dropout", "0.5")
        await wait_for_helper(pilot, lambda: text_of(shown).splitlines() != lines)
        pairs = list(zip(text_of(shown).splitlines()[1::4], text_of(shown).splitlines()[2::4], strict=True))
        assert [before for before, _ in pairs] == lines[1::4]
        assert all(set(after[8:].split()) < set(before[8:].split()) for before, after in pairs)
        struck = [span for span in shown.content.spans if "strike" in str(span.style)]  # type: ignore[union-attr]
        assert len(struck) > 3
        await fill(screen, pilot, "augment.token_dropout", "2")
        assert wrong(line(screen, "augment.token_dropout"))


async def test_a_preset_that_cannot_be_had_is_told_and_the_rest_stays_usable(
    text_recipe: str, tiny: Tiny, tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "config.json").write_text("{}", encoding="utf-8")
    file = tmp_path / "tiny.toml"
    file.write_text(text_recipe.replace(str(tiny.bert), str(odd)), encoding="utf-8")
    async with opened(Draft(file)) as (screen, pilot):
        await wait_for_helper(pilot, lambda: "could not be loaded" in text_of(screen.query_one("#waiting")))
        await wait_for_helper(pilot, lambda: "train" in text_of(screen.query_one("#sizes")))
        await pilot.press("f3")
        await fill(screen, pilot, "phase.batch_size", "4")
        assert screen.form.draft.changes == {"phase.finetune.batch_size": 4}
        assert not screen.query_one("#run", Button).disabled


async def test_cautions_follow_from_the_data_as_they_are_read(image_recipe: str, tiny: Tiny, tmp_path: Path) -> None:
    few = few_photos(tiny, tmp_path / "few")
    file = tmp_path / "tiny.toml"
    file.write_text(image_recipe, encoding="utf-8")
    async with opened(Draft(file, None, {"data.source": f"folder:{few}"})) as (screen, pilot):
        cautions = screen.query_one(Cautions)
        await wait_for_helper(pilot, lambda: "the run makes 3 steps in all" in text_of(cautions))
        assert "each of them is 50% of the accuracy" in text_of(cautions)
        await fill(screen, pilot, "data.source", "folder:none")  # no folder on the way to it, which would be read
        assert "in all" not in text_of(cautions)


async def test_prompts_and_completions_are_shown_apart_with_their_tokens(
    completion_recipe: str, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(completion_recipe, encoding="utf-8")
    async with opened(Draft(file), (160, 60)) as (screen, pilot):
        data = screen.query_one(DataPane)
        await wait_for_helper(pilot, lambda: any("tokens" in text_of(each) for each in data.query(".example")))
        head, prompt, completion = text_of(data.query(".example").first()).splitlines()
        assert (prompt[-1], completion[:2]) == ("?", "→ ")
        # The start token, and the end token is predicted alone.
        assert head == f"{len(prompt) + len(completion) - 2 + 1} tokens"
        shown = {each.field.key for each in data.query(FieldLine) if each.display}
        assert {"data.prompt_column", "data.completion_column", "data.chat_column", "data.template"} <= shown
        assert not {"data.text_column", "data.label_column", "data.conflicts"} & shown
