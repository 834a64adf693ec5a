"""A run's events in words, one line each, as `ftapp run` tells them and the interface's log shows them."""

from __future__ import annotations

from collections.abc import Mapping

from ftapp.common import formatting
from ftapp.recipe.metrics import get_metric
from ftapp.runs.control import PATIENCE_SECONDS
from ftapp.runs.events import (
    AnyEvent,
    BestRestored,
    Checkpointed,
    Controlled,
    DataLoaded,
    ModelSaved,
    Noted,
    Resumed,
    RunEnded,
    RunStarted,
    Waited,
)
from ftapp.runs.history import History
from ftapp.runs.phase_events import (
    CacheChoice,
    CacheVerified,
    Evaluated,
    LayersChanged,
    PhaseEnded,
    PhaseStarted,
    PhaseTimed,
    SegmentProof,
)

ENGINES = {"keras": "Keras", "openvino": "OpenVINO"}
"""What the libraries that compute features are called, by the names that recipes give them."""
FULL_DISK = (
    "the disk with the run's folder is full: the run waits, and continues when there is space; if it is asked to end "
    f"meanwhile, it does so after {PATIENCE_SECONDS:.0f} seconds without saving"
)


def narrate(event: AnyEvent) -> list[str]:
    """What there is to say of an event: nothing of steps and progress, which are shown and not told."""
    match event:
        case RunStarted():
            return [f"{event.backend} on {event.device}; {event.precision}: {event.reason}"]
        case DataLoaded():
            dropped = f", {event.duplicates} duplicates dropped" if event.duplicates else ""
            sizes = f"{event.train} train, {event.validation} validation, {event.test} test"
            classes = formatting.format_class_counts(event.classes, event.counts)
            return [f"data: {sizes}{dropped}", *([f"classes: {classes}"] if classes else []), *event.notes]
        case PhaseStarted():
            share = event.trainable / event.parameters
            begun = (
                f"phase {event.phase}: {formatting.format_quantity(event.steps, 'step')}; {event.trainable:,} of "
                f"{event.parameters:,} parameters train, R = {formatting.format_share(share)}"
            )
            if event.adapters:
                begun += f"; {event.adapters:,} of them in adapters"
            return [begun, *([describe_cache(event.cache)] if event.cache else [])]
        case PhaseTimed():
            return [f"phase {event.phase} takes about {event.seconds:.0f} s in total"]
        case PhaseEnded():
            early = [f"phase {event.phase} ends early: {event.stopped}"] if event.stopped else []
            return [*early, f"phase {event.phase} in {event.seconds:.1f} s: {_describe_proof(event)}"]
        case LayersChanged():
            proof = event.proof
            rules, steps = ", ".join(event.rules), formatting.format_quantity(proof.steps, "step")
            changed = f"layers changed after step {event.step}: {rules}; {event.trainable:,} parameters train"
            return [
                changed,
                *([f"the {steps} before: {_describe_proof(proof)}"] if proof.steps else []),
                *([describe_cache(event.cache)] if event.cache else []),
            ]
        case CacheVerified():
            compared, computed = (formatting.format_quantity(n, "example") for n in (event.checked, event.examples))
            checked = f"the checksums of {compared} were compared; " if event.checked else ""
            return [
                f"cache verified: {checked}recomputed features of {computed} differ by at most {event.difference:.2g} "
                "of the largest feature"
            ]
        case Noted():
            return [event.message]
        case Evaluated():
            examples = formatting.format_quantity(event.examples, "example")
            kind = "result" if event.final else f"step {event.step}"
            lines = [f"{kind}: {event.split} {_describe_metrics(event.values)} on {examples}"]
            if event.quantized:
                lines.append(f"the same on int8 features: {_describe_metrics(event.quantized)}")
            return lines
        case Controlled():
            because = f": {event.because}" if event.because else ""
            return [
                f"{_describe_command(event)} after step {event.step}"
                + (because if event.applied else f" refused: {event.reason}")
            ]
        case ModelSaved() if event.flaw:
            return [f"the model after step {event.step} is saved in {event.folder}, marked as failed"]
        case Waited():
            return [f"the disk has space again: the run waited for {event.seconds:.0f} s, and continues"]
        case Resumed():
            return [_describe_seam(event), *(f"not exact: {reason}" for reason in event.inexact)]
        case BestRestored():
            best = describe_best(event.metric, event.value)
            return [f"the weights of step {event.best_step} replace those of step {event.step}: {best}"]
        case RunEnded(status="unfinished"):
            return [f"the run is unfinished after step {event.steps}"]
        case Checkpointed():
            return [f"the model of step {event.step} is saved in {event.folder}"]
        case _:
            return []


def describe_interventions(history: History) -> str:
    """Describe where a run was resumed and steered; "" where it only followed its recipe.

    Args:
        history: The run.
    """
    parts = [
        (each.step, f"resumed after step {each.step}" + "".join(f" (not exact: {reason})" for reason in each.inexact))
        for each in history.resumed
    ]
    parts += [
        (each.step, f"{_describe_command(each)} after step {each.step}")
        for each in history.controlled
        if each.applied and each.command in ("rate", "freeze", "unfreeze")
    ]
    return "; ".join(text for _, text in sorted(parts, key=lambda pair: pair[0]))


def _describe_command(event: Controlled) -> str:
    value = f" {event.rate:g}" if event.rate is not None else ""
    return f"{event.command}{value}" + (f" {event.layers}" if event.layers is not None else "")


def describe_cache(choice: CacheChoice) -> str:
    """Whether features are cached, and why."""
    if not choice.cached or not choice.layers:
        return f"no features are cached: {choice.reason}"
    return (
        f"features of {choice.layers[0]} to {choice.layers[-1]} are cached, {choice.size / 2**20:,.1f} MiB: "
        f"{choice.reason}{describe_engine(choice)}"
    )


def describe_engine(choice: CacheChoice) -> str:
    """Describe the engine that computes features, as an addition to a sentence; "" where the recipe names none."""
    name = ENGINES.get(choice.engine, choice.engine)
    if choice.engine_reason:
        return f"; {name} computes them in float, since {choice.engine_reason}"
    if (check := choice.quantization) is None:
        return f"; {name} computes them" if choice.engine != "keras" else ""
    found = (
        f"cosine {min(check.cosine.values(), default=0):.4f}, error {max(check.error.values(), default=0):.1%}, a "
        f"linear classifier agrees on {check.agreement:.1%}, on {formatting.format_quantity(check.checked, 'example')}"
    )
    if check.accepted:
        return f"; {name} computes them in int8: {found}"
    return f"; {name} computes them in float, since int8 differs too much: {found}"


def _describe_metrics(values: Mapping[str, float]) -> str:
    return ", ".join(f"{get_metric(name).label} {get_metric(name).format_plain(each)}" for name, each in values.items())


def describe_best(metric: str, value: float) -> str:
    """Describe by which metric of evaluations weights are the best ones."""
    found = get_metric(metric)
    return f"best held-out {found.label}, {found.format_plain(value)}"


def _describe_seam(event: Resumed) -> str:
    return f"the run goes on after step {event.step}" if event.step else "the run begins again: it had no checkpoint"


def _describe_proof(event: PhaseEnded | SegmentProof) -> str:
    return formatting.describe_proof(event.frozen, len(event.changed), event.moved, event.moved + len(event.still))
