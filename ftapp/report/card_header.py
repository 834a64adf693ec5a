"""The header of a model card: the metadata by which model hubs list a model, written by huggingface_hub.

The fields are those of https://huggingface.co/docs/hub/model-cards#model-card-metadata. Only what the run measured or
its recipe says stands there. The licence is the user's to choose, so there is none.
"""

from __future__ import annotations

import re

from ftapp.analysis.records import Record
from ftapp.recipe import TASKS

# What a name on a hub looks like. Other names are a user's own files, which nobody else can find.
_HUB_NAME = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SOURCE = re.compile(r"(?:tfds|gutenberg|sklearn):[\w./-]+")


def make_header(one: Record) -> str:
    """The YAML block at the beginning of a model card, with its lines of dashes and a newline at the end.

    Args:
        one: the run that the card is of.

    Returns:
        The metadata of a run whose recipe cannot be read too; they are fewer then.
    """
    from huggingface_hub import EvalResult, ModelCardData  # here, since it takes a quarter of a second to import

    task = str(one.settings.get("task", ""))
    pipeline = TASKS[task].hub_name if task in TASKS else task or None
    base = _HUB_NAME.fullmatch(str(one.settings.get("model.preset", "")))
    source = str(one.settings.get("data.source", ""))
    result = one.history.result
    measured = result.values if result else {}
    evaluations = [
        EvalResult(
            task_type=pipeline or "other",
            dataset_type=source if _SOURCE.fullmatch(source) else "own",
            dataset_name=source if _SOURCE.fullmatch(source) else "own data",
            dataset_split="test",
            metric_type=name,
            metric_value=round(value, 6),
        )
        for name, value in measured.items()
    ]
    data = ModelCardData(
        library_name="keras",
        pipeline_tag=pipeline,
        base_model=base["name"] if base else None,
        tags=["ftapp", "fine-tuned"],
        model_name=_UNSAFE.sub("-", one.run.folder.name) if evaluations else None,
        eval_results=evaluations or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"
