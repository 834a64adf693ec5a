"""Folders of runs that were never trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftapp import recipe
from ftapp.runs import run_creation
from ftapp.runs.event_log import EventLog
from ftapp.runs.event_types import Status
from ftapp.runs.events import DataLoaded, ModelBuilt, RunEnded, RunStarted
from ftapp.runs.phase_events import (
    CacheChoice,
    Confused,
    Drifted,
    Estimate,
    Evaluated,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
    Stepped,
)
from ftapp.runs.run_folder import RunFolder


def record_run(
    folder: Path,
    *overrides: str,
    name: str = "bert-full",
    losses: Sequence[float] = (3.0, 2.0, 1.5, 1.2, 1.1, 1.0),
    seconds: float = 0.2,
    accuracy: float | None = 0.8,
    validation: float | None = None,
    status: Status | None = "done",
    batches: str = "",
    digest: str = "",
    others: float = 0.0,
) -> RunFolder:
    """A run's folder as a run of the recipe that made these losses would have left it; no status: it crashed.

    validation: the accuracy of the validation split after the last step.
    """
    run = run_creation.create(
        recipe.load(recipe.find(name), None, overrides), name, None, folder, command=["ftapp", "run", name]
    )
    log = EventLog(run.events_file)
    log.write(
        RunStarted(time=0, recipe=name, seed=0, backend="tensorflow", device="cpu", precision="float32", reason="asked")
    )
    log.write(DataLoaded(time=1, train=80, validation=0, test=100, classes=["bad", "good"], duplicates=2))
    log.write(ModelBuilt(time=1, parameters=1000, layers=9, digest=digest))
    phase = PhaseStarted(
        time=2,
        phase="finetune",
        first_step=1,
        steps=len(losses),
        epochs=1.0,
        trainable=520,
        parameters=1000,
        trainable_layers=["pooled_dense", "classifier"],
        cache=CacheChoice(cached=True, reason="each example is used 3 times", layers=["a", "b"], size=2**20),
        estimate=Estimate(flops=10**9, flops_uncut=10**9, weights=2**20, gradients=2**20, optimizer=0, activations=0),
    )
    log.write(phase)
    log.write(PhaseTimed(time=2.5, phase="finetune", seconds=2.0))
    for step, loss in enumerate(losses, 1):
        log.write(
            Stepped(
                time=2 + step,
                step=step,
                epoch=1,
                loss=loss,
                metrics={"accuracy": 0.5},
                rate=1e-3,
                seconds=seconds,
                memory=2**30,
            )
        )
    end = 2 + len(losses)
    if validation is not None:
        found = {"accuracy": validation}
        log.write(
            Evaluated(time=end, step=len(losses), split="validation", examples=100, loss=1, metrics=found, seconds=1)
        )
    final = Evaluated(
        time=end,
        step=len(losses),
        split="test",
        examples=100,
        loss=losses[-1],
        metrics={} if accuracy is None else {"accuracy": accuracy},
        seconds=1,
        final=True,
    )
    log.write(final)
    bins = [*([[0.0, 0.0, 0.0]] * 8), [60.0, 51.0, 45.0], [40.0, 38.0, 35.0]]
    log.write(
        Confused(time=end, step=len(losses), split="test", counts=[[35, 15], [5, 45]], calibration=bins, final=True)
    )
    for step in (1, len(losses)):
        moved = {"pooled_dense": 0.01 * step, "classifier": 0.02 * step}
        log.write(Drifted(time=end, step=step, phase="finetune", since_start={**moved}, last_step=moved))
    if status is not None:
        training = seconds * len(losses)
        log.write(
            PhaseEnded(
                time=end,
                phase="finetune",
                steps=len(losses),
                seconds=training + 2,
                preparing=0.5,
                training=training,
                evaluating=1.0,
                memory=2**30,
                others=others,
                frozen=4,
                digest="0123abcd",
                moved=6,
                batches=batches,
            )
        )
        log.write(RunEnded(time=end, status=status, steps=len(losses), seconds=training + 3))
    return run
