"""The table of actions on a run or an experiment: their keys, when they are possible, and what does them.

The Runs screen, the screen of a run, the menu of actions and the command palette all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.binding import Binding

from ftapp.common.person import Access, Person
from ftapp.common.safe_files import explain_lost_folder
from ftapp.runs.resuming import ENDED_EARLY, RESUMABLE
from ftapp.runs.run_folder import GOING_ON
from ftapp.tui.actions.target import Target

if TYPE_CHECKING:
    from ftapp.experiments.experiment_folder import Experiment
    from ftapp.tui.app import FtApp


@dataclass(frozen=True)
class RunAction:
    """An action on a run.

    Attributes:
        name: The name by which screens bind it.
        key: Its key in the menu of actions, and on screens that bind it.
        title: Its short name.
        help: What it does, in a line.
        act: Does it. The app may have to ask the user first.
        access: What a person must be allowed to do for it. An action that does not say so changes the run.
        find_obstacle: Explains why it is not possible for a target; None where it is possible.
        takes_several: Whether it is done with all marked runs at once.
        is_hidden: Whether a footer leaves its key out while it is not possible.
    """

    name: str
    key: str
    title: str
    help: str
    act: Callable[[FtApp, Sequence[Target]], None]
    find_obstacle: Callable[[Target], str | None] = lambda _: None
    takes_several: bool = False
    is_hidden: bool = False
    access: Access = "change"

    def bind(self) -> Binding:
        """Make its key for a screen."""
        return Binding(self.key, f"on_run('{self.name}')", self.title, tooltip=self.help)

    def find_first_obstacle(self, targets: Iterable[Target], person: Person) -> str | None:
        """Explain why it is not possible for the first target for which it is not; None where it is possible.

        Args:
            targets: The runs and experiments.
            person: Who wants to do it.
        """
        found = (
            person.find_obstacle(self.access, each.owner) or _explain_lost(each) or self.find_obstacle(each)
            for each in targets
        )
        return next(filter(None, found), None)


def _open(app: FtApp, targets: Sequence[Target]) -> None:
    if experiment := targets[0].experiment:
        app.open_experiment(experiment)
    else:
        app.open_run(targets[0].run)


def _try_model(app: FtApp, targets: Sequence[Target]) -> None:
    app.try_model(targets[0].run)


def _resume(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.resume import resume_experiment

    async def go_on(experiment: Experiment) -> None:
        if await resume_experiment(app, experiment):
            app.open_experiment(experiment)

    if experiment := targets[0].experiment:
        app.run_worker(go_on(experiment), exclusive=True, group="resume")
    else:
        app.resume(targets[0].run)


def _stop(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.run_commands import RunCommands
    from ftapp.tui.actions.stop import stop_experiment

    if experiment := targets[0].experiment:
        stop_experiment(app, experiment)
    else:
        RunCommands(app, targets[0].run).ask_to_stop()


def _open_report(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.report import open_report

    if experiment := targets[0].experiment:
        app.open_path(experiment.report_file)
    else:
        app.run_worker(open_report(app, targets[0].run), exclusive=True, group="report")


def _open_folder(app: FtApp, targets: Sequence[Target]) -> None:
    app.open_path(targets[0].run.folder)


def _export(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.export import export

    app.run_worker(export(app, targets[0].run))


def _predict(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.predict import predict

    app.run_worker(predict(app, targets[0].run))


def _annotate(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.annotate import annotate

    app.run_worker(annotate(app, targets))


def _delete(app: FtApp, targets: Sequence[Target]) -> None:
    from ftapp.tui.actions.deletion import delete

    app.run_worker(delete(app, targets))


def _explain_lost(target: Target) -> str | None:
    lost = explain_lost_folder(target.run.folder)
    return f"{target.recipe} is damaged: {lost}." if lost else None


def _explain_no_model(target: Target) -> str | None:
    if target.experiment:
        return "An experiment has a model for each of its runs. Choose a run below it."
    if target.run.has_model():
        return None
    if target.status in GOING_ON:
        return f"{target.recipe} is {target.status}. Its model can be used after its end."
    return f"{target.recipe} has no saved model, since the run is {target.status}."


def _explain_not_resumable(target: Target) -> str | None:
    resumable = ENDED_EARLY if target.experiment else RESUMABLE
    return None if target.status in resumable else f"{target.recipe} is {target.status}, so it cannot be resumed."


def _explain_not_running(target: Target) -> str | None:
    return None if target.status in GOING_ON else f"{target.recipe} has ended."


def _explain_no_report(target: Target) -> str | None:
    if target.experiment is None or target.experiment.report_file.is_file():
        return None
    return f"{target.recipe} has no report yet. It is made at the end of the experiment."


def _explain_running(target: Target) -> str | None:
    if target.status not in GOING_ON:
        return None
    what = "An experiment" if target.experiment else "A run"
    return f"{target.recipe} is {target.status}. {what} that is {target.status} cannot be deleted. Stop it first."


_TABLE = (
    RunAction("open", "enter", "Open", "Show its curves, its phases and its log", _open, access="look"),
    RunAction("try_model", "t", "Try", "Try the model", _try_model, _explain_no_model, access="use"),
    RunAction(
        "predict",
        "p",
        "Predict",
        "Answer all inputs of a file or a folder",
        _predict,
        _explain_no_model,
        access="use",
    ),
    RunAction("export", "w", "Export", "Write the model for another runtime", _export, _explain_no_model, access="use"),
    RunAction(
        "resume",
        "g",
        "Resume",
        "Continue an ended run from its newest checkpoint, or an experiment",
        _resume,
        _explain_not_resumable,
        is_hidden=True,
        access="manage",  # it would not wait for its turn
    ),
    RunAction("stop", "x", "Stop", "End early and keep the model", _stop, _explain_not_running, is_hidden=True),
    RunAction("report", "e", "Report", "Open the report, or make it", _open_report, _explain_no_report, access="look"),
    RunAction("annotate", "n", "Notes", "Change the tags and the note", _annotate, takes_several=True),
    RunAction("folder", "o", "Folder", "Open the folder", _open_folder, access="look"),
    RunAction(
        "delete", "d", "Delete", "Delete the run, or the marked runs", _delete, _explain_running, takes_several=True
    ),
)
RUN_ACTIONS = {action.name: action for action in _TABLE}
