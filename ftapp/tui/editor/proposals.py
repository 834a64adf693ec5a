"""Drafts that are proposed to the user, by advice on the data or by a test of learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftapp.recipe import TASKS
from ftapp.recipe.base_rate import replace_base_rate
from ftapp.tui.editor import edits
from ftapp.tui.editor.advise import AdviseScreen
from ftapp.tui.editor.choices_line import ChoicesLine
from ftapp.tui.editor.draft import Draft
from ftapp.tui.editor.find_rate import FindRate

if TYPE_CHECKING:
    from ftapp.tui.editor.configure import ConfigureScreen


class Proposals:
    """Opens what proposes a draft, sets the draft, and takes it back until the user changes something else."""

    def __init__(self, screen: ConfigureScreen) -> None:
        self._screen = screen
        self._before: Draft | None = None

    @property
    def can_undo(self) -> bool:
        """Whether there is a proposal to take back."""
        return self._before is not None

    def accept(self) -> None:
        """Keep the proposal: it can no longer be taken back."""
        self._before = None

    def advise(self) -> None:
        """Look at the data through the pretrained model, and propose the strategy that fits them."""
        screen, resolved = self._screen, self._screen.form.recipe
        if resolved is None:
            screen.notify("Advice follows once the recipe is valid.")
        elif TASKS[resolved.task].labels != "classes":
            screen.notify("Advice is for classifiers.")
        elif not screen.previews.has_all(resolved):
            screen.notify("Advice needs the model and the data. g fetches them.")
        else:
            sheet = AdviseScreen(resolved, screen.form.draft, screen.previews.inspector)
            screen.app.push_screen(sheet, lambda draft: self._set(draft, "The advice is applied") if draft else None)

    def find_rate(self) -> None:
        """Test learning rates of the chosen phase in a process of its own, and propose the suggested rate."""
        screen, form = self._screen, self._screen.form
        resolved = form.recipe
        if resolved is None or screen.problems:
            screen.notify("Rates can be tested once the recipe is valid.")
        elif not screen.previews.has_all(resolved):
            screen.notify("A test needs the model and the data. g fetches them.")
        else:
            index = form.phases.index(form.phase)
            phase = resolved.phase[index]

            def take(rate: float | None) -> None:
                if rate is not None:
                    key, value = f"phase.{phase.name}.learning_rate", replace_base_rate(phase, rate)
                    self._set(edits.set_value(form.draft, key, value, form.arm), f"The learning rate is {rate:g}")

            screen.previews.cancel()  # the test needs the processor
            screen.app.push_screen(FindRate(resolved, index, offline=screen.app.offline), take)

    def undo(self) -> None:
        """Go back to the draft before the proposal."""
        if self._before is not None:
            draft, self._before = self._before, None
            self._show(draft)

    def _set(self, draft: Draft, message: str) -> None:
        self._before = self._screen.form.draft
        self._show(draft)
        self._screen.notify(f"{message}. ctrl+z undoes it.")

    def _show(self, draft: Draft) -> None:
        self._screen.take(draft, keep_typed=False)
        self._screen.query_one(ChoicesLine).offer_profiles(draft)
        self._screen.refresh_bindings()
