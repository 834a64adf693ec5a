"""Writes an export: the model in its format, the files beside it, and the check, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ftapp.common.durable import make_folder_in_place
from ftapp.common.errors import RunError
from ftapp.common.formatting import format_quantity
from ftapp.models.export import keras_hub_task, litert, onnx, openvino, tf_saved_model, torch, transformers
from ftapp.models.export.check import check_export
from ftapp.models.export.companions import write_companions
from ftapp.models.export.request import CheckExamples, ExportCheck, ExportRequest, WrittenModel
from ftapp.models.export.tokenizer_json import make_tokenizer
from ftapp.recipe import TASKS
from ftapp.runs.export_formats import FORMATS, UnfitError

_WRITERS: dict[str, Callable[[ExportRequest, Path], WrittenModel]] = {
    "keras-hub": keras_hub_task.write,
    "saved_model": tf_saved_model.write,
    "onnx": onnx.write,
    "openvino": openvino.write,
    "litert": litert.write,
    "torch": torch.write,
    "transformers": transformers.write,
}


def write_export(
    request: ExportRequest,
    name: str,
    folder: Path,
    examples: CheckExamples | None,
    report: Callable[[str], None],
    *,
    replaces: bool,
) -> tuple[list[str], ExportCheck | None]:
    """Write an export.

    Args:
        request: What is exported.
        name: The format.
        folder: Where to.
        examples: What the export is checked on; None where it is not.
        report: Called with what is being done, again and again.
        replaces: Whether a folder that is there is replaced.

    Returns:
        (What a user has to know of the files, the check).

    Raises:
        UnfitError: The format has no place for this model.
        RunError: The conversion failed, or the export answers otherwise than the model.
        OSError: The folder cannot be written.
    """
    trained = request.trained
    with make_folder_in_place(folder, replaces=replaces) as scratch:
        report(f"converting the model to {name}")
        written = _convert(request, name, scratch)
        tokenizer = make_tokenizer(trained) if TASKS[trained.task].inputs == "texts" else None
        if tokenizer is None and TASKS[trained.task].inputs == "texts" and not written.brings_tokenizer:
            kind = type(trained.preprocessor.tokenizer).__name__
            nearest = "keras-hub" if trained.causal_lm is None else "transformers"
            raise UnfitError(name, f"its {kind} has no file tokenizer.json", nearest)
        own = None if written.brings_tokenizer else tokenizer
        write_companions(request, name, scratch, written.program, own, written.notes)
        if examples is None:
            return written.notes, None
        activity = f"comparing {format_quantity(len(examples.examples), 'answer')} of the export with the model's"
        check = check_export(
            trained,
            scratch,
            examples.examples,
            examples.labels,
            int8=request.int8,
            backend=FORMATS[name].backend,
            tokenizer=tokenizer,
            on_wait=lambda: report(activity),
        )
        if not check.accepted:
            raise RunError(_explain_rejection(name, check))
    return written.notes, check


def _convert(request: ExportRequest, name: str, scratch: Path) -> WrittenModel:
    try:
        return _WRITERS[name](request, scratch)
    except (RunError, OSError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        nearest = "saved_model" if name != "saved_model" else "onnx"
        raise UnfitError(name, f"its converter failed ({type(error).__name__}: {reason})", nearest) from error


def _explain_rejection(name: str, check: ExportCheck) -> str:
    rule = (
        f"an export in int8 answers at least {check.least_agreement:.0%} of them as the model does"
        if check.tolerance is None
        else f"all answers are equal, and scores differ by {check.tolerance:.2g} at most"
    )
    found = f"{check.agreeing} of {check.examples} answers are equal, and scores differ by up to {check.difference:.2g}"
    if check.continuations:
        found += f"; {check.continuations[0]} of {check.continuations[1]} prompts are continued alike"
    way = ""
    if check.tolerance is None:
        way = "; leave out --int8" + (", or try --to openvino --int8" if name != "openvino" else "")
    return f"the export to {name} does not answer as the model does: {found}; {rule}; nothing was written{way}"
