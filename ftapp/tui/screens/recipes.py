"""Recipes: the list of recipes, and what the highlighted recipe does and costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static

from ftapp.tui.catalog import Catalog, RecipeEntry
from ftapp.tui.page import Page, looks
from ftapp.tui.widgets.facts import Fact, Facts
from ftapp.tui.widgets.recipe_menu import RecipeMenu
from ftapp.tui.widgets.search_line import SearchLine
from ftapp.tui.widgets.texts import set_text

if TYPE_CHECKING:
    from ftapp.experiments.listing import Summary
    from ftapp.recipe import Recipe
    from ftapp.tui.editor.draft import Draft
    from ftapp.tui.recipe_words import Size

_REREAD_SECONDS = 2.0
_MUTED = "$foreground-muted"  # $text-muted depends on a background that is unknown here
_WELCOME = (
    "[b]Welcome.[/b] Choose a recipe with ↑ and ↓. [b]r[/b] runs it at once with the marked profile. "
    "[b]Enter[/b] shows its layers, data and training first. [b]?[/b] lists all keys."
)


class RecipesScreen(Page):
    """Lists the recipes."""

    PLACE = "recipes"
    HELP = """
# Recipes

A recipe says which model trains on which data, which layers are frozen, and how the others train. Its *profiles* adapt
it to smaller machines: `quick` ends within minutes on two processor cores and needs no model hub. `standard` is the
recipe without a profile.

Your own recipes come first: TOML files in the folder where you started `ftapp`, and recipes that you used recently. `c`
copies a recipe to a file of your own. A file that you change in an editor is read again automatically.
"""
    DEFAULT_CSS = """
    RecipesScreen #columns { height: 1fr; }
    RecipesScreen #choose { width: 37; }
    RecipesScreen.-narrow #choose { width: 35; max-width: 52%; }
    RecipesScreen.-wide #choose { width: 44; }
    RecipesScreen #about { width: 1fr; }
    RecipesScreen #menu { height: 1fr; margin-top: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RecipesScreen.-short #menu { margin-top: 0; }
    RecipesScreen #menu > .option-list--option-disabled { color: $foreground-muted; }
    RecipesScreen #about > * { width: 1fr; max-width: 100; height: auto; margin: 0 1 1 0; }
    RecipesScreen #welcome { background: $surface; border-left: thick $primary; padding: 0 1; display: none; }
    RecipesScreen #welcome.-shown { display: block; }
    RecipesScreen #problems { color: $error; display: none; }
    RecipesScreen #problems.-shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "configure", "Configure"),
        Binding("r", "run", "Run"),
        Binding("n", "queue", "Queue", tooltip="Run it after what waits in the queue"),
        Binding("p", "next_profile", "Profile", tooltip="Choose the next profile"),
        Binding("c", "copy", "Copy", tooltip="Copy to a recipe of your own"),
        SearchLine.KEY,
    ]
    AUTO_FOCUS = "#menu"

    def __init__(self) -> None:
        super().__init__()
        self._catalog = Catalog()
        self._entries: list[RecipeEntry] = []
        self._sizes: dict[tuple[Path, str | None], Size] = {}
        self._disk: dict[tuple[Path, str | None], str] = {}
        self._wanted: Path | None = None  # the recipe to go to once it is listed
        self._last: dict[tuple[str, str | None], Summary] | None = None

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="columns"):
            choose = Vertical(id="choose", classes="pane")
            choose.border_title = "Recipes"
            with choose:
                yield SearchLine("/ to search")
                yield RecipeMenu(id="menu")
            about = VerticalScroll(id="about", classes="pane")
            with about:
                yield Static(_WELCOME, id="welcome")
                yield Static(id="title", markup=False)
                yield Static(id="problems", markup=False)
                profiles = Static(id="profiles")
                profiles.auto_links = False  # its colours show the chosen profile
                yield profiles
                yield Facts()
                yield Static(id="comment", markup=False)

    def on_mount(self) -> None:
        self._entries = self._catalog.read(_here(), self.app.settings.recent, check=False)
        self._fill_menu()
        self.set_interval(_REREAD_SECONDS, self._reread)
        self.watch(self.app, "live_runs", self._reread_changed_runs, init=False)

    def on_screen_resume(self) -> None:
        self._show_entry()
        # After the first frame, which the imports of these threads would delay.
        self.call_after_refresh(self._reread)
        self.call_after_refresh(self._reread_runs)

    def _reread_changed_runs(self) -> None:
        self._reread_runs()

    @property
    def entry(self) -> RecipeEntry | None:
        """The highlighted recipe."""
        path = self.query_one(RecipeMenu).current
        return next((entry for entry in self._entries if str(entry.path) == path), None)

    @property
    def profile(self) -> str | None:
        """The profile with which the highlighted recipe runs."""
        return self.entry.profile(self.app.settings.profile) if self.entry else None

    @work(exclusive=True, group="entries")
    async def _reread(self) -> None:
        """Show changes in the files of the recipes."""
        entries = await asyncio.to_thread(self._read)
        if self._entries != entries:
            self._entries = entries
            self._sizes.clear()
            self._disk.clear()
            self._fill_menu()

    def _read(self) -> list[RecipeEntry]:
        from ftapp.tui import recipe_facts  # noqa: F401  (imported in this thread, for `_show_entry`)

        return self._catalog.read(_here(), self.app.settings.recent)

    @work(exclusive=True, group="runs")
    async def _reread_runs(self) -> None:
        """Find the last run of each recipe with each profile."""
        last = await asyncio.to_thread(self._read_runs)
        if self._last != last:
            self._last = last
            self._disk.clear()  # a run may have filled the cache
            self._show_found()

    def _read_runs(self) -> dict[tuple[str, str | None], Summary]:
        last: dict[tuple[str, str | None], Summary] = {}
        for summary in self.app.summaries.read():
            last.setdefault((summary.recipe, summary.profile), summary)
        return last

    def _fill_menu(self, *, searched: bool = False) -> None:
        """List the recipes that match. The cursor stays on its recipe, or goes to the best match when `searched`."""
        query, highlighted = self.query_one(SearchLine).value, self.entry
        ranks = {entry.path: rank for entry in self._entries if (rank := entry.rank(query)) is not None}
        if searched and query.strip() and ranks:
            wanted: Path | None = min(ranks, key=ranks.__getitem__)
        else:
            wanted = self._wanted or (highlighted.path if highlighted else None)
        shown = [entry for entry in self._entries if entry.path in ranks]
        empty = "No recipe matches." if self._entries else "There are no recipes."
        self.query_one(RecipeMenu).show(shown, wanted, empty=empty)
        if wanted in ranks:
            self._wanted = None
        self._show_entry()

    @on(Input.Changed, "#search")
    def _filter(self) -> None:
        self._fill_menu(searched=True)

    @on(SearchLine.Left)
    def _to_menu(self) -> None:
        self.query_one("#menu").focus()

    @on(OptionList.OptionHighlighted)
    def _show_highlighted(self) -> None:
        self._show_entry()
        self.query_one("#about").scroll_home(animate=False)

    @on(OptionList.OptionSelected)
    def _open_selected(self) -> None:
        self.action_configure()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "search":
            return not isinstance(self.focused, SearchLine)
        return super().check_action(action, parameters)

    @looks
    def action_search(self) -> None:
        self.query_one(SearchLine).take()

    def action_configure(self) -> None:
        """Open the recipe with its layers, data and training."""
        if draft := self._draft():
            self.app.configure(draft)

    def action_run(self) -> None:
        """Run the recipe at once, with the marked profile."""
        if draft := self._draft():
            self.app.start(draft)

    def action_queue(self) -> None:
        """Add the recipe to the queue, with the marked profile."""
        if draft := self._draft():
            self.app.add_to_queue(draft)

    @looks
    def action_next_profile(self) -> None:
        if entry := self.entry:
            choices = entry.choices
            self._choose(choices[(choices.index(self.profile) + 1) % len(choices)])

    @looks
    def action_choose_profile(self, profile: str) -> None:
        """Choose a profile by its name, or "" for the recipe's own values."""
        self._choose(profile or None)

    def action_copy(self) -> None:
        """Copy the recipe to a file of the user's own."""
        from ftapp.tui.dialogs.ask import Ask

        if entry := self.entry:
            taken = {path.name for path in _here().glob("*.toml")}
            names = (f"my-{entry.path.stem}{number}.toml" for number in ("", *range(2, 1000)))
            name = next(name for name in names if name not in taken)
            self.app.push_screen(Ask(f"Copy {entry.path.stem} to", name, _check_name), self._copy_to)

    def _copy_to(self, name: str | None) -> None:
        from ftapp import recipe
        from ftapp.common.errors import RecipeError

        entry = self.entry
        if not name or entry is None:
            return
        file = _here() / Path(name).expanduser()
        try:
            recipe.copy_to(entry.path, file)
        except RecipeError as error:
            self.notify(str(error), title="Not copied", severity="error")
            return
        if file.parent != _here():
            self.app.settings.use_recipe(file)
        self.query_one(SearchLine).value = ""
        self.notify(str(file), title="Copied")
        self._wanted = file
        self._reread()

    def _choose(self, profile: str | None) -> None:
        self.app.settings.profile = profile or ""
        self.app.settings.save()
        self._show_entry()

    def _draft(self) -> Draft | None:
        """Make a draft of the highlighted recipe; None where the recipe is broken, after a note."""
        from ftapp.tui.editor.draft import Draft

        entry, profile = self.entry, self.profile
        if entry is None:
            return None
        if entry.checked and profile not in entry.recipes:
            self.notify("\n".join(entry.problems), title=f"{entry.name} cannot run", severity="error", timeout=12)
            return None
        if not entry.bundled and self.app.person.role == "teacher":
            self.app.settings.use_recipe(entry.path)
        return Draft(entry.path, profile)

    def _show_entry(self) -> None:
        """Show what the highlighted recipe does and costs."""
        about, entry = self.query_one("#about"), self.entry
        about.border_title = Content(entry.name) if entry else None
        is_new = self._last == {} and self.app.person.find_obstacle("use") is None
        self.query_one("#welcome").set_class(is_new, "-shown")
        for widget in self.query("#title, #profiles"):
            widget.display = entry is not None
        for widget in self.query("Facts, #comment"):  # so that the comment does not move later
            widget.display = entry is not None and entry.checked
        self.query_one("#problems").set_class(bool(entry and entry.problems), "-shown")
        if entry is None:
            return
        profile = self.profile
        title = Content.styled(entry.title, "b")
        set_text(self.query_one("#title", Static), Content("\n").join(part for part in (title, entry.summary) if part))
        # The title of the pane has the name of the file already.
        problems = [problem.removeprefix(f"{entry.path}: ") for problem in entry.problems]
        set_text(self.query_one("#problems", Static), "\n\n".join(problems))
        set_text(self.query_one("#profiles", Static), _draw_profiles(entry.choices, profile))
        last = self._last.get((entry.path.stem, profile)) if self._last else None
        recipe, size = entry.recipes.get(profile), self._sizes.get((entry.path, profile))
        rows: list[Fact] = []
        if recipe:
            from ftapp.tui import recipe_facts

            costs = recipe_facts.describe_cost(
                last, entry.notes.get(profile or ""), self._disk.get((entry.path, profile))
            )
            facts = recipe_facts.list_facts(recipe, size, entry.arms.get(profile, {}), entry.sweeps.get(profile))
            rows = [*facts, costs, recipe_facts.describe_last_run(last, time.time())]
        self.query_one(Facts).rows = rows
        set_text(self.query_one("#comment", Static), Content.styled("\n\n".join(entry.comment[1:]), _MUTED))
        if recipe and size is None:
            self._find_size(recipe, (entry.path, profile))
        if recipe and (entry.path, profile) not in self._disk:
            self._find_disk(recipe, last, (entry.path, profile))

    @work(exclusive=True, group="size")
    async def _find_size(self, recipe: Recipe, place: tuple[Path, str | None]) -> None:
        """Find the size of the model and its trainable share, where they are known without Keras."""
        from ftapp.tui import recipe_words

        size = await asyncio.to_thread(recipe_words.find_size, recipe)
        if size is not None:
            self._sizes[place] = size
            self._show_found()

    @work(exclusive=True, group="disk")
    async def _find_disk(self, recipe: Recipe, last: Summary | None, place: tuple[Path, str | None]) -> None:
        """Find what a run downloads first, and what it leaves."""
        from ftapp.tui import recipe_words

        self._disk[place] = await asyncio.to_thread(recipe_words.describe_disk, recipe, last)
        self._show_found()

    def _show_found(self) -> None:
        """Show the result of a thread, unless the screen is being left and has no widgets."""
        with suppress(NoMatches):
            self._show_entry()


def _here() -> Path:
    """Return the current folder, or the home folder where that is gone."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


def _check_name(name: str) -> str | None:
    from ftapp import recipe

    return recipe.find_name_problem(_here() / Path(name).expanduser())


def _draw_profiles(choices: Sequence[str | None], chosen: str | None) -> Content:
    """Draw the profiles on one line, each to be clicked."""
    shown = []
    for choice in choices:
        mark, style = ("●", "$primary bold") if choice == chosen else ("○", _MUTED)
        action = f"screen.choose_profile({choice or ''!r})"
        shown.append(
            Content(f"{mark} {choice or 'standard'}").stylize(style).stylize(Style.from_meta({"@click": action}))
        )
    return Content.assemble(("Profile   ", _MUTED), Content("   ").join(shown))
