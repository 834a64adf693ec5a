"""The study of a sweep: proposals, results, pruning, and a process that goes on after another."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError

from ftapp.common.errors import RunError
from ftapp.recipe.metrics import ACCURACY, LOSS
from ftapp.recipe.spaces import parse_space
from ftapp.search.study import SweepStudy, explain_faults

SPACES = {"phase.head.learning_rate": "log(1e-5, 1)", "phase.head.layers": [["train last:1"], []]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name means something in a URL."""
    found = tmp_path / "mine?mode=ro#1 é"
    found.mkdir()
    return found


def open_study(folder: Path, spaces: dict[str, Any] = SPACES, **options: Any) -> SweepStudy:
    parsed = {key: parse_space(given) for key, given in spaces.items()}
    return SweepStudy(folder / "study.db", parsed, options.pop("metric", ACCURACY), 0, 20, prunes=True, **options)


def test_the_same_history_gives_the_same_proposal_in_another_process(tmp_path: Path) -> None:
    proposed = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        known: list[dict[str, Any]] = []
        for number in range(12):
            if name == "b":
                study = open_study(tmp_path / name)  # anew for each, as if each were another process
                assert len(study.list_settled()) == number
            elif not number:
                study = open_study(tmp_path / name)
            asked = study.ask(f"trial {number}", known)
            assert asked is not None
            known.append(asked.values)
            study.tell(asked, asked.values["phase.head.learning_rate"])
        proposed.append(known)
    assert proposed[0] == proposed[1]
    assert len({each["phase.head.learning_rate"] for each in proposed[0]}) == 12


def test_the_search_turns_to_what_is_better(folder: Path) -> None:
    study = open_study(folder)
    known: list[dict[str, Any]] = []
    for number in range(30):
        asked = study.ask(f"trial {number}", known)
        assert asked is not None
        known.append(asked.values)
        study.tell(asked, -abs(asked.values["phase.head.learning_rate"] - 0.01))
    late = [each["phase.head.learning_rate"] for each in known[15:]]
    assert sum(0.001 < rate < 0.1 for rate in late) > len(late) / 2
    shares = study.measure_importances()
    assert list(shares) == ["phase.head.learning_rate", "phase.head.layers"]
    assert sum(shares.values()) == pytest.approx(1)


def test_no_setting_is_tried_twice_and_the_search_ends_when_none_is_left(folder: Path) -> None:
    study = open_study(folder, {"phase.head.batch_size": [8, 16], "phase.head.epochs": "int(1, 3)"})
    known: list[dict[str, Any]] = [{"phase.head.batch_size": 8, "phase.head.epochs": 2}]
    while (asked := study.ask(f"trial {len(known)}", known)) is not None:
        assert asked.values not in known
        known.append(asked.values)
        study.tell(asked, 0.5)
    assert len(known) == 6


def test_a_trial_that_was_cut_off_is_given_up_and_taken_up_with_its_values(folder: Path) -> None:
    study = open_study(folder)
    asked = study.ask("trial 1", [])
    assert asked is not None
    study.report(asked, 3, 0.5)
    later = open_study(folder)
    assert later.list_settled() == {}
    again = later.ask_again("trial 1", asked.values)
    assert again.values == asked.values
    later.tell(again, 0.7)
    assert set(open_study(folder).list_settled()) == {"trial 1"}


def test_a_trial_below_the_median_of_the_same_steps_is_pruned_with_the_reason(folder: Path) -> None:
    study = open_study(folder)
    known: list[dict[str, Any]] = []
    for number, value in enumerate((0.8, 0.9, 0.7, 0.85)):
        asked = study.ask(f"trial {number}", known)
        assert asked is not None
        known.append(asked.values)
        assert study.report(asked, 10, value) is None, "with few trials, none is pruned"
        study.tell(asked, value)
    poor = study.ask("trial 4", known)
    assert poor is not None
    assert study.report(poor, 5, 0.1) is None, "no other trial was evaluated after as many steps"
    because = study.report(poor, 10, 0.2)
    assert because == (
        "pruned: the best validation accuracy so far, 0.2000, is worse than the median of 4 trials after the same "
        "steps, 0.8250"
    )
    good = study.ask("trial 5", [*known, poor.values])
    assert good is not None
    assert study.report(good, 10, 0.95) is None


def test_a_damaged_study_is_refused_and_a_new_one_takes_the_results(folder: Path) -> None:
    file = folder / "study.db"
    file.write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match="delete it: the results are in the folders of the runs"):
        open_study(folder)
    file.unlink()
    study = open_study(folder)
    study.add("trial 1", {"phase.head.learning_rate": 0.1, "phase.head.layers": []}, 0.7, {})
    assert set(study.list_settled()) == {"trial 1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "DROP TABLE study_directions; CREATE TABLE study_directions (a int)",
            "delete it: the results are in the folders",
        ),
        ("UPDATE alembic_version SET version_num = 'v99'; UPDATE version_info SET schema_version = 99", "updating"),
    ],
    ids=["other tables", "a newer Optuna"],
)
def test_a_study_of_another_kind_is_refused(folder: Path, change: str, message: str) -> None:
    open_study(folder)
    with sqlite3.connect(folder / "study.db") as database:
        database.executescript(change)
    with pytest.raises(RunError, match=message):
        open_study(folder)


def test_a_fault_of_the_file_is_told_with_what_helps(folder: Path) -> None:
    study = open_study(folder)
    with sqlite3.connect(folder / "study.db", timeout=0) as database:
        database.execute("DROP TABLE trials")
    with pytest.raises(RunError, match="no such table: trials"), explain_faults(study.file):
        study.ask("trial 1", [])
    with pytest.raises(RunError, match="another program works on it; end that"), explain_faults(study.file):
        raise StorageInternalError from sqlite3.OperationalError("database is locked")


def test_lower_is_better_for_a_loss(folder: Path) -> None:
    study = open_study(folder, metric=LOSS)
    assert study.fits({"phase.head.learning_rate": 0.1, "phase.head.layers": []})
    assert not study.fits({"phase.head.learning_rate": 10.0, "phase.head.layers": []})
    values = {"phase.head.learning_rate": 0.1, "phase.head.layers": []}
    for number in range(4):
        study.add(f"trial {number}", {**values, "phase.head.learning_rate": 0.1 + number / 10}, 1.0, {10: 1.0})
    asked = study.ask("trial 4", [])
    assert asked is not None
    assert study.report(asked, 10, 0.5) is None
    assert set(study.list_settled()) == {"trial 0", "trial 1", "trial 2", "trial 3"}


def test_a_value_of_the_recipe_is_the_choice_that_equals_it(folder: Path) -> None:
    spaces = {"phase.head.learning_rate": [1, 2, 3]}
    study = open_study(folder, spaces)
    study.add("recipe", {"phase.head.learning_rate": 1.0}, 0.7, {})
    assert study.list_settled() == {"recipe": {"phase.head.learning_rate": 1}}
    assert study.ask_again("trial 1", {"phase.head.learning_rate": 2.0}).values == {"phase.head.learning_rate": 2}
