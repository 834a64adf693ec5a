"""What people of a class may do: those who only watch change nothing, and students only what they have started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from textual.binding import Binding

from ftapp import recipe
from ftapp.common.person import NAME, ROLE, Person
from ftapp.experiments.options import Options
from ftapp.experiments.queue import Queue
from ftapp.runs.commands import Checkpoint
from ftapp.runs.run_folder import RunFolder
from ftapp.tui.actions.run_actions import RUN_ACTIONS
from ftapp.tui.actions.run_commands import RunCommands
from ftapp.tui.actions.start import add_to_queue
from ftapp.tui.actions.target import Target
from ftapp.tui.app import FtApp
from ftapp.tui.editor.configure import ConfigureScreen
from ftapp.tui.editor.draft import Draft
from ftapp.tui.page import Page
from ftapp.tui.screens.compare import CompareScreen
from ftapp.tui.screens.experiment import ExperimentScreen
from ftapp.tui.screens.queue import QueueScreen
from ftapp.tui.screens.recipes import RecipesScreen
from ftapp.tui.screens.run import RunScreen
from ftapp.tui.screens.runs import RunsScreen
from ftapp.tui.screens.sweep import SweepScreen
from tests.tui.conftest import Write
from tests.tui.harness import Listing, listed, living, notes, until
from tests.tui.test_queue import add, opened

_LOOKING = {
    *("choose_action", "on_run", "search", "sort", "reverse", "mark", "unmark", "compare"),
    *("maximize_pane", "choose_panes", "resize_panes", "reset_panes"),
    *("next_profile", "open", "report", "next_repeat", "scrub", "next_pair"),
}
_VIEWER, _ANA = Person("", "viewer"), Person("ana", "student")


def use_as(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    for name, value in person.environment.items():
        monkeypatch.setenv(name, value)


def own(run: RunFolder, owner: str) -> None:
    """Give a run an owner."""
    facts = json.loads(run.environment_file.read_text("utf-8")) if run.environment_file.exists() else {}
    run.environment_file.write_text(json.dumps(facts | {"owner": owner}), encoding="utf-8")


@pytest.mark.parametrize("name", RUN_ACTIONS)
def test_people_who_watch_do_only_the_actions_that_look(name: str, tmp_path: Path) -> None:
    targets = [Target(RunFolder(tmp_path), "gpt2-full", status) for status in ("running", "done")]
    refusal = _VIEWER.find_obstacle("use")
    is_refused = RUN_ACTIONS[name].find_first_obstacle(targets, _VIEWER) == refusal
    assert is_refused == (name not in {"open", "report", "folder"})


def test_an_action_that_does_not_say_what_it_needs_is_the_owners() -> None:
    assert {name for name, action in RUN_ACTIONS.items() if action.access == "change"} == {"stop", "annotate", "delete"}


@pytest.mark.parametrize(
    ("person", "access", "owner", "may"),
    [
        (Person(), "manage", "ana", True),
        (Person("teacher", "teacher"), "change", "ana", True),
        (_ANA, "look", "ben", True),
        (_ANA, "use", "ben", True),
        (_ANA, "change", "ana", True),
        (_ANA, "change", "ben", False),
        (_ANA, "change", "", False),
        (_ANA, "manage", "ana", False),
        (Person("", "student"), "change", "", False),
        (_VIEWER, "look", "", True),
        (_VIEWER, "use", "", False),
        (_VIEWER, "change", "", False),
    ],
)
def test_the_role_and_the_owner_decide(person: Person, access: str, owner: str, may: bool) -> None:
    assert (person.find_obstacle(access, owner) is None) == may  # type: ignore[arg-type]


def test_an_unknown_role_only_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROLE, "student ")
    monkeypatch.setenv(NAME, "ana")
    assert Person.read() == Person("ana", "viewer")


async def test_every_other_key_of_a_page_is_refused_to_people_who_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    use_as(monkeypatch, _VIEWER)
    app = FtApp()
    refused = set()
    async with app.run_test():
        screens = (RecipesScreen, RunsScreen, RunScreen, QueueScreen, ExperimentScreen, SweepScreen, CompareScreen)
        for kind in (*screens, ConfigureScreen):
            for binding in kind.BINDINGS:
                assert isinstance(binding, Binding)
                action = binding.action.partition("(")[0]
                method = getattr(kind, f"action_{action}", None)
                if method is None or method.__module__.startswith("textual."):
                    continue
                page = kind.__new__(kind)
                monkeypatch.setattr(kind, "app", app)
                if not Page.check_action(page, action, ()):
                    refused.add(action)
                else:
                    assert action in _LOOKING, f"{kind.__name__}: {action}"
    assert not refused & _LOOKING
    assert refused >= {
        "run",
        "queue",
        "copy",
        "stop",
        "rate",
        "freeze",
        "checkpoint",
        "pause",
        "move",
        "drop",
        "restore",
    }


async def test_the_screens_of_people_who_watch_offer_nothing_that_changes(
    write_run: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(status="done")
    use_as(monkeypatch, _VIEWER)
    app = Listing()
    async with app.run_test(size=(120, 40)) as pilot:
        assert "only watching" in str(app.screen.query_one("#live").visual)  # type: ignore[attr-defined]
        assert not {"r", "n", "c"} & set(app.screen.active_bindings)
        await listed(pilot, 1)
        keys = set(app.screen.active_bindings)
        assert not {"d", "t", "p", "w", "n", "g", "x", "u"} & keys
        await pilot.press("d", "n", "p")
        assert app.screen.__class__ is RunsScreen
        await pilot.press("enter")
        assert app.shown == [run]


async def test_students_change_their_own_runs_alone(write_run: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, others = write_run(status=None), write_run(status=None)
    own(theirs, "ana")
    own(others, "ben")
    use_as(monkeypatch, _ANA)
    app = FtApp()
    async with app.run_test(size=(120, 40)) as pilot:
        with living(theirs), living(others):
            for run, may in ((theirs, True), (others, False)):
                await app.push_screen(RunScreen(run))
                await until(pilot, lambda: isinstance(app.screen, RunScreen) and bool(app.screen.target.owner))
                await until(pilot, lambda may=may: ("k" in app.screen.active_bindings) == may)  # type: ignore[misc]
                commands = RunCommands(app, run)
                before = run.control_file.read_text("utf-8") if run.control_file.exists() else ""
                commands.send(Checkpoint())
                after = run.control_file.read_text("utf-8") if run.control_file.exists() else ""
                assert (after != before) == may
            assert "This is ben's" in notes(app)


async def test_students_drop_their_own_entries_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue.of(FtApp().runs_dir)
    queue.pause()
    for name in ("ben", "ana"):
        use_as(monkeypatch, Person(name, "student"))
        add(queue, "gpt2-full")
    app = FtApp()
    async with app.run_test(size=(120, 40)) as pilot:
        options = await opened(pilot, 2)
        assert "2nd, after ben" in str(options.get_option_at_index(1).prompt)
        options.highlighted = 0
        await pilot.press("d", "J", "p")
        options.highlighted = 1
        await until(pilot, lambda: "d" in app.screen.active_bindings)
        await pilot.press("d")
        await until(pilot, lambda: options.option_count == 1)
    assert [each.owner for each in queue.list_entries()] == ["ben"]
    assert queue.is_paused()


@pytest.mark.parametrize(("jobs", "added"), [(1, True), (2, False)])
async def test_runs_of_a_students_experiment_go_one_after_another(
    monkeypatch: pytest.MonkeyPatch, jobs: int, added: bool
) -> None:
    use_as(monkeypatch, _ANA)
    app = FtApp()
    draft = Draft(recipe.find("gpt2-full"), "quick", options=Options(repeats=2, jobs=jobs))
    async with app.run_test():
        entry = await add_to_queue(app, draft)
        assert (entry is not None) == added == ("runs at once: 2 is too many" not in notes(app))
    assert len(Queue.of(app.runs_dir).list_entries()) == added


def test_a_process_that_only_watches_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("as it is", encoding="utf-8")
    script = f"""
import os, pathlib, shutil, signal, subprocess, sys
from ftapp.common.read_only import refuse_changes
refuse_changes()
folder = pathlib.Path({str(tmp_path)!r})
kept = folder / "kept"
tries = [
    lambda: kept.write_text("x"), lambda: kept.open("a"), lambda: os.open(kept, os.O_RDWR),
    lambda: (folder / "new").touch(),
    lambda: kept.unlink(), lambda: kept.rename(folder / "other"), lambda: (folder / "sub").mkdir(),
    lambda: shutil.rmtree(folder), lambda: os.symlink(kept, folder / "link"), lambda: kept.chmod(0),
    lambda: subprocess.run(["true"]), lambda: os.system("true"), lambda: os.kill(os.getpid(), 0),
    lambda: os.posix_spawn("/bin/true", ["true"], {{}}), lambda: os.fork(),
]
for number, each in enumerate(tries):
    try:
        each()
    except PermissionError:
        continue
    sys.exit(f"try {{number}} has succeeded")
print(kept.read_text())
open(os.devnull, "w").write("x")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "as it is"), done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "here"] == ["kept"]
