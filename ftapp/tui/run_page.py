"""The base of screens that show a run: the actions of `ftapp.tui.actions.run_actions` by keys and by a menu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding

from ftapp.tui.actions.run_actions import RUN_ACTIONS, RunAction
from ftapp.tui.actions.target import Target
from ftapp.tui.dialogs.choose_action import ChooseAction
from ftapp.tui.page import Page, looks


class RunPage(Page):
    """A full screen with actions on a run. Subclasses bind the keys of some with `RunAction.bind`.

    Attributes:
        MENU: The names of the actions in the menu.
        MENU_KEY: The key of the menu, which subclasses bind.
    """

    MENU: ClassVar[tuple[str, ...]] = tuple(RUN_ACTIONS)
    PLACE = "runs"
    MENU_KEY = Binding("a", "choose_action", "Actions", tooltip="Choose what to do with the run")

    @property
    def target(self) -> Target | None:
        """The run that actions are about; None for none."""
        raise NotImplementedError

    @property
    def targets(self) -> Sequence[Target]:
        """The runs of actions that take several."""
        return [self.target] if self.target else []

    @looks  # as far as the table of actions says so
    def action_on_run(self, name: str) -> None:
        """Do an action, or explain why it is not possible."""
        action = RUN_ACTIONS[name]
        targets = self._find_targets(action)
        if obstacle := action.find_first_obstacle(targets, self.app.person):
            self.notify(obstacle, severity="warning")
        elif targets:
            action.act(self.app, targets)

    @looks
    def action_choose_action(self) -> None:
        """Choose an action from a menu."""
        if self.target is None:
            self.notify("There is no run.")
            return

        def act(name: str | None) -> None:
            if name is not None:
                self.action_on_run(name)

        entries = [
            (action, action.find_first_obstacle(self._find_targets(action), self.app.person))
            for action in (RUN_ACTIONS[name] for name in self.MENU)
        ]
        self.app.push_screen(ChooseAction(self._describe_targets(), entries), act)

    def list_commands(self) -> Iterable[SystemCommand]:
        """List the actions that the command palette offers: those that are possible and have no key on the screen."""
        bound = {active.binding.action for active in self.active_bindings.values()}
        for name in self.MENU:
            action = RUN_ACTIONS[name]
            targets = self._find_targets(action)
            is_possible = targets and not action.find_first_obstacle(targets, self.app.person)
            if is_possible and action.bind().action not in bound:
                yield SystemCommand(action.title, action.help, partial(self.action_on_run, name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action != "on_run" or not self.is_mounted:
            return super().check_action(action, parameters)
        found, person = RUN_ACTIONS[str(parameters[0])], self.app.person
        if person.find_obstacle("use") and found.access != "look":
            return False
        targets = self._find_targets(found)
        return not found.is_hidden or (bool(targets) and not found.find_first_obstacle(targets, person))

    def _find_targets(self, action: RunAction) -> Sequence[Target]:
        return self.targets if action.takes_several else [self.target] if self.target else []

    def _describe_targets(self) -> str:
        target, count = self.target, len(self.targets)
        name = target.run.folder.name if target else ""
        return f"{name}, {count} marked" if count > 1 else name
