"""The Configure screen: layers are frozen and thawed in the tree, by key, click and rule."""

from __future__ import annotations

import pytest
from textual.widgets import Button, TextArea

from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.layer_tree import LayerTree
from ftapp.tui.editor.layers_pane import LayersPane
from tests.tui.configuring import opened, share, text_of, typed, with_layers
from tests.tui.harness import notes, until


async def test_space_and_letters_toggle_layers_and_the_share_changes_at_once(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        rules = screen.query_one("#rules", TextArea)
        assert "10.0%" in share(screen)
        course = [
            ("a", ["freeze all", "train head, attention"], "32.5%"),
            ("h", ["freeze all", "train attention"], "22.5%"),
            ("a", ["freeze all"], "0%"),
            ("m", ["freeze all", "train mlp"], "30.0%"),
            ("e", ["freeze all", "train mlp, embeddings"], "67.5%"),
            ("asterisk", [], "100%"),
            ("b", ["freeze backbone"], "10.0%"),
        ]
        for key, expected, percent in course:
            await pilot.press(key)
            await pilot.pause()
            assert screen.form.layers == rules.text.splitlines() == expected
            assert percent in share(screen)
        await pilot.press("p", "n")
        assert "pooler" in notes(pilot.app)
        assert "norms" in notes(pilot.app)
        await pilot.press("down", "down", "space")  # the first block
        await pilot.pause()
        assert screen.form.layers == ["freeze backbone", "train transformer_layer_0"]
        await pilot.press("right", "space")  # into it, its attention
        await pilot.pause()
        assert screen.form.layers[-1] == "freeze blocks[0] & self_attention"
        assert "freeze blocks[0] & self_attention" in str(screen.query_one(LayersPane).border_subtitle)


async def test_plus_and_minus_thaw_and_freeze_the_last_blocks(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        for key, last in [("plus", "last:1"), ("plus", "last:2"), ("minus", "last:1"), ("minus", "head")]:
            await pilot.press(key)
            await pilot.pause()
            assert screen.form.layers[-1].endswith(last)
        assert screen.form.draft.changes == {}
        await pilot.press("minus")
        assert "does not train as a whole" in notes(pilot.app)


@pytest.mark.slow
async def test_rules_are_edited_as_text_and_checked(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        pane, rules = screen.query_one(LayersPane), screen.query_one("#rules", TextArea)
        rules.focus()
        await pilot.press("down", "down", "end", "enter", *typed("tran mlp"))
        await until(pilot, lambda: pane.has_class("-wrong"))
        assert text_of(screen.query_one("#rules-wrong")) == screen.form.problems[0].message
        assert "did you mean 'train'" in text_of(screen.query_one("#rules-wrong"))
        assert screen.query_one("#run", Button).disabled
        assert "10.0%" in share(screen)  # as it was
        await pilot.press(*["left"] * 5, "i")
        await until(pilot, lambda: not pane.has_class("-wrong"))
        assert screen.form.layers[-1] == "train mlp"
        assert "40.0%" in share(screen)
        await pilot.press("end", "x")
        await until(pilot, lambda: pane.has_class("-wrong"))
        assert "'mlpx' matches no layer" in text_of(screen.query_one("#rules-wrong"))
        assert screen.query_one("#run", Button).disabled
        await pilot.press("escape")
        assert isinstance(screen.focused, LayerTree)


async def test_a_click_on_a_mark_toggles_its_layer(draft: Draft) -> None:
    async with with_layers(draft) as (screen, pilot):
        tree = screen.query_one(LayerTree)
        row = tree.render_line(1).text
        await pilot.click(tree, offset=(row.index("○"), 1))
        await pilot.pause()
        assert screen.form.layers == ["freeze all", "train head, embeddings"]


async def test_progress_stands_once_in_the_pane_until_the_layers_are_known(draft: Draft) -> None:
    async with with_layers(draft) as (screen, _pilot):
        pane = screen.query_one(LayersPane)
        pane.timing("timing steps")
        assert "timing steps" in text_of(pane.query_one("#cost"))
        for show in (pane.wait, pane.timing):  # of the layers and of the costs, at the same time
            show("loading Keras ...")
        assert [text_of(pane.query_one(name)) for name in ("#waiting", "#cost")] == ["loading Keras ...", ""]


async def test_a_model_of_a_hub_waits_to_be_fetched_and_rules_can_be_written_meanwhile(draft: Draft) -> None:
    other = draft.with_change("model.preset", "bert_tiny_en_uncased")
    async with opened(other) as (screen, pilot):
        await until(pilot, lambda: "g fetches it" in text_of(screen.query_one("#waiting")))
        assert screen.query_one("#data-preview").has_class("-unfetched")
        assert not screen.query_one("#run", Button).disabled
        screen.query_one("#rules", TextArea).focus()
        await pilot.press("down", "down", "end", "enter", *typed("train mlp"))
        await until(pilot, lambda: len(screen.form.layers) == 3)
