"""Choosing data, a pretrained model or a target for a field from a list, and a file of this machine after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.app import App

from ftapp.tui.dialogs.pick_file import PickFile, find_start_folder
from ftapp.tui.editor import offers
from ftapp.tui.editor.choose_offer import ChooseOffer
from ftapp.tui.editor.edits import Form
from ftapp.tui.editor.field_line import FieldLine
from ftapp.tui.editor.fields import TARGET
from ftapp.tui.editor.offers import Offer
from ftapp.tui.editor.targets import list_targets


def browse(app: App[Any], form: Form, line: FieldLine) -> None:
    """Let the user choose a value from what suits the task, and put it into the field.

    Args:
        app: Shows the dialogs.
        form: The draft, whose task decides what there is to choose from.
        line: The field of `data.source`, `model.preset` or the target of the run.
    """
    value = str(form.value(line.field.key) or "")
    is_data = line.field.key == "data.source"

    def put_path(offer: Offer, path: Path | None) -> None:
        if path is not None:
            line.put(f"{offer.value}{path}")

    def put_offer(offer: Offer | None) -> None:
        if offer is None:
            return
        if offer.suffixes is None:
            line.put(offer.value)
            return
        kind = "file" if offer.suffixes else "folder"
        # The resolved recipe has absolute paths.
        resolved = form.recipe
        start = value if resolved is None else resolved.data.source if is_data else resolved.model.preset
        dialog = PickFile(f"Which {kind}?", find_start_folder(start.partition(":")[2] or start), offer.suffixes)
        app.push_screen(dialog, lambda path: put_path(offer, path))

    if line.field.key == TARGET:
        title, given = "Where the run goes", list_targets()
    elif is_data:
        title, given = "Data", offers.list_sources(form.task)
    else:
        title, given = "Pretrained model", offers.list_presets(form.task)
    app.push_screen(ChooseOffer(title, given, value), put_offer)
