"""Layers that are frozen and thawed while a run trains, and runs that repeat the commands of another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
import pytest

from ftapp.runs.checkpoints import list_checkpoints, read_facts
from ftapp.runs.commands import AnyCommand, Freeze, Rate, Stop, Unfreeze
from ftapp.runs.history import History
from ftapp.runs.replay import ReplayedCommand, list_all
from ftapp.runs.run_lookup import list_runs
from ftapp.training import job
from ftapp.training.checkpoint import TrainingCheckpoint, read_checkpoint
from ftapp.training.session import PhaseSession
from tests.conftest import Do
from tests.support.checkpoints import cut_back
from tests.support.histories import without_clocks
from tests.support.recipes import EVERY_STEP
from tests.train.test_resume import TWO_PHASES, go_on

# All layers train, with moments.
ADAM = ('phase.head.layers=["train all"]', "phase.head.optimizer=adam", "phase.head.steps=8", "model.dropout=0.2")


def at(step: int, command: AnyCommand, phase_index: int = 0) -> ReplayedCommand:
    """A command that is carried out after so many steps of the run."""
    return ReplayedCommand(phase_index=phase_index, step=step, command=command)


def weights(history: History) -> str:
    """The hash of the weights that a run has saved."""
    assert history.saved is not None
    return history.saved.weights


def reasons(history: History) -> list[str | None]:
    """Why commands were refused."""
    return [each.reason for each in history.controlled]


def test_a_layer_thaws_between_two_steps(do: Do, image_recipe: str) -> None:
    code, history, _ = do(image_recipe, "phase.head.steps=8", replayed=[at(3, Unfreeze(layers="last:1"))])
    assert code == 0
    assert [(each.command, each.applied, each.step, each.layers) for each in history.controlled] == [
        ("unfreeze", True, 3, "last:1")
    ]
    change = history.layer_changes[0]
    assert (change.step, change.rules) == (3, ["train last:1"])
    assert change.proof.steps == 3
    assert change.proof.moved == 2
    assert change.proof.changed == change.proof.still == []
    ended = history.ended_phases[0]
    assert ended.moved == 6
    assert ended.frozen == change.proof.frozen - 4
    assert len(history.steps) == 8
    first, *_, last = history.drifts
    assert list(first.since_start) == ["classifier"]
    assert list(last.since_start) == change.trainable_layers == ["block2_conv1", "block2_conv2", "classifier"]
    assert all(last.since_start.values())
    assert history.trainable_share == change.trainable / history.phases[0].parameters
    assert change.cache is not None
    assert (change.cache.cached, change.cache.layers[-1]) == (True, "block1_conv1")


def test_a_layer_freezes_and_stays_as_it_is(do: Do, image_recipe: str) -> None:
    code, history, run = do(image_recipe, *ADAM, *EVERY_STEP, replayed=[at(4, Freeze(layers="backbone"))])
    assert code == 0
    assert not history.ended_phases[0].changed
    assert history.ended_phases[0].frozen > history.layer_changes[0].proof.frozen
    saved = dict(list_checkpoints(run))
    before, after, end = (_read(saved[step]).weights for step in (3, 4, 8))
    backbone = [name for name in end if name.startswith("block")]
    assert len(backbone) == 6
    assert any((before[name] != after[name]).any() for name in backbone)
    assert all((after[name] == end[name]).all() for name in backbone)


def test_weights_that_go_on_training_keep_their_moments(do: Do, image_recipe: str) -> None:
    _, _, run = do(
        image_recipe,
        *EVERY_STEP,
        "phase.head.optimizer=adam",
        "phase.head.steps=6",
        replayed=[at(4, Unfreeze(layers="block2_conv2"))],
    )
    leads = {step: list(_read(folder).optimizer.leads) for step, folder in list_checkpoints(run)}
    assert leads[4] == [0, 0]
    assert leads[6] == [0, 0, 4, 4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "images", "two-phases"])
def test_a_steered_run_is_resumed_and_replayed_to_the_same_weights(
    name: str, do: Do, text_recipe: str, image_recipe: str
) -> None:
    replayed: Sequence[ReplayedCommand]
    sets: tuple[str, ...]
    if name == "text":
        text, sets = text_recipe, ("phase.finetune.schedule=linear", "model.label_smoothing=0.1")
        replayed = [
            at(3, Freeze(layers="embeddings, first:1")),
            at(3, Rate(base=5e-4)),
            at(7, Unfreeze(layers="all")),
            at(7, Freeze(layers="attention")),
        ]
    elif name == "images":
        text, sets = image_recipe + "[augment]\nflip = 'horizontal'\nviews = 2\n", ("phase.head.steps=9",)
        replayed = [at(0, Unfreeze(layers="block2_conv2")), at(5, Freeze(layers="block2_conv2"))]
    else:
        text, sets = image_recipe + TWO_PHASES, ("model.dropout=0.2", "phase.head.steps=4")
        replayed = [
            at(2, Unfreeze(layers="last:1")),
            at(4, Freeze(layers="block2_conv1"), 1),
            at(6, Rate(base=0.005), 1),
        ]
    code, whole, run = do(text, *sets, *EVERY_STEP, replayed=replayed)
    assert code == 0
    assert reasons(whole) == [None] * len(replayed)
    again = do(text, *sets, *EVERY_STEP, replayed=list_all(whole))[1]
    assert weights(again) == weights(whole)
    for step, _ in list_checkpoints(run)[4::4]:
        copy = cut_back(run, step)
        copy.replay_file.unlink()  # what the log has lost is found in the log
        code, again = go_on(copy)
        assert code == 0
        assert weights(again) == weights(whole), step
        assert without_clocks(again) == without_clocks(whole)


def test_a_command_that_comes_while_a_session_opens_keeps_the_moments(
    do: Do, image_recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze, thaw = Freeze(layers="backbone"), Unfreeze(layers="backbone")
    _, at_once, _ = do(image_recipe, *ADAM, replayed=[at(4, freeze), at(4, thaw)])
    opened = 0

    class InterruptedSession(PhaseSession):
        """Gets the second command while the first one's segment opens."""

        def __enter__(self) -> Self:
            nonlocal opened
            opened += 1
            if opened == 2:
                with list_runs(tmp_path / "runs")[0].control_file.open("ab") as file:
                    file.write(msgspec.json.encode(thaw) + b"\n")
            return super().__enter__()

    monkeypatch.setattr(job, "PhaseSession", InterruptedSession)
    _, one_by_one, _ = do(image_recipe, *ADAM, replayed=[at(4, freeze)])
    assert [(each.command, each.applied, each.step) for each in one_by_one.controlled] == [
        ("freeze", True, 4),
        ("unfreeze", True, 4),
    ]
    assert weights(one_by_one) == weights(at_once)


def test_a_stopped_run_is_replayed_to_its_last_step(do: Do, image_recipe: str) -> None:
    code, whole, _ = do(image_recipe, replayed=[at(2, Rate(base=1e-4)), at(5, Stop())])
    assert (code, len(whole.steps)) == (130, 5)
    code, again, _ = do(image_recipe, replayed=list_all(whole))
    assert (code, len(again.steps)) == (130, 5)
    assert weights(again) == weights(whole)


def test_a_repeated_run_that_is_killed_after_its_stop_stops_again(do: Do, image_recipe: str) -> None:
    code, whole, run = do(image_recipe, *EVERY_STEP, replayed=[at(5, Stop())])
    assert (code, len(whole.steps)) == (130, 5)
    code, again = go_on(cut_back(run, 5))
    assert (code, len(again.steps)) == (130, 5)
    assert weights(again) == weights(whole)
    code, longer = go_on(run)  # its end is in its log: who resumes it wants more
    assert (code, len(longer.steps)) == (0, 9)


def test_commands_that_make_no_sense_are_refused_with_the_reason(do: Do, image_recipe: str) -> None:
    text = image_recipe.replace("learning_rate = 0.01", "learning_rate = { head = 0.01 }")
    assert text != image_recipe
    code, history, _ = do(
        text,
        "phase.head.steps=3",
        commands=[
            Unfreeze(layers="blok2"),
            Freeze(layers="head"),
            Unfreeze(layers="head"),
            Freeze(layers="backbone"),
            Unfreeze(layers="last:1"),
        ],
    )
    assert code == 0
    unmatched, nothing, trains, frozen, rate = reasons(history)
    assert unmatched is not None
    assert "'blok2' matches no layer" in unmatched
    assert "block2" in unmatched
    assert nothing == "no layer would train then; a phase trains at least one layer"
    assert trains == "'head' trains already"
    assert frozen == "'backbone' is frozen already"
    assert rate is not None
    assert "no selection reaches" in rate
    assert not history.layer_changes


def test_a_word_that_is_no_selection_is_refused(do: Do, text_recipe: str) -> None:
    with pytest.raises(ValueError, match="is no range"):
        Unfreeze(layers="lastt:1")


def _read(folder: Path) -> TrainingCheckpoint:
    facts = read_facts(folder)
    assert facts is not None
    return read_checkpoint(folder, facts)
