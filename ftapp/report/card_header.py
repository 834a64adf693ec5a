"""The header of a model card: the metadata by which model hubs list a model, written by huggingface_hub.

The fields are those of https://huggingface.co/docs/hub/model-cards#model-card-metadata. Only what the run measured or
its recipe says stands there. The licence is the user's to choose, so there is none unless they name one.
"""

from __future__ import annotations

import re

from ftapp.analysis.records import Record
from ftapp.analysis.statistics import CONFIDENCE, Interval, estimate_share
from ftapp.recipe import TASKS
from ftapp.recipe.metrics import Metric, get_metric
from ftapp.runs.phase_events import Evaluated

# What a name on a hub looks like. Other names are a user's own files, which nobody else can find.
_HUB_NAME = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)")
_HUB_SOURCE = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)(?:[/@?].*)?")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SOURCE = re.compile(r"(?:tfds|gutenberg|sklearn):[\w./-]+")


def estimate_shares(result: Evaluated) -> dict[str, Interval]:
    """Estimate the measures of a result that are shares of its examples, such as the accuracy, with their intervals."""
    names = [name for name in result.values if get_metric(name).is_proportion and result.examples]
    return {name: estimate_share(round(result.values[name] * result.examples), result.examples) for name in names}


def describe_interval(metric: Metric, found: Interval) -> str:
    """Describe the interval of a measure, such as "95% interval 93.1% to 98.2%"."""
    return f"{CONFIDENCE:.0%} interval {metric.format_text(found.low)} to {metric.format_text(found.high)}"


def make_header(one: Record, library: str = "keras", license_name: str | None = None) -> str:
    """The YAML block at the beginning of a model card, with its lines of dashes and a newline at the end.

    Args:
        one: the run that the card is of.
        library: What a hub calls the library that reads the model.
        license_name: What a hub calls the licence; None where nobody has chosen one.

    Returns:
        The metadata of a run whose recipe cannot be read too; they are fewer then.
    """
    from huggingface_hub import EvalResult, ModelCardData  # here, since it takes a quarter of a second to import

    task = str(one.settings.get("task", ""))
    pipeline = TASKS[task].hub_name if task in TASKS else task or None
    base = _HUB_NAME.fullmatch(str(one.settings.get("model.preset", "")))
    source = str(one.settings.get("data.source", ""))
    of_hub = _HUB_SOURCE.fullmatch(source)
    result = one.history.result
    bounds = estimate_shares(result) if result else {}
    measured = result.values if result else {}
    evaluations = [
        EvalResult(
            task_type=pipeline or "other",
            dataset_type=of_hub["name"] if of_hub else source if _SOURCE.fullmatch(source) else "own",
            dataset_name=of_hub["name"] if of_hub else source if _SOURCE.fullmatch(source) else "own data",
            dataset_split="test",
            metric_type=name,
            metric_name=f"{name} ({describe_interval(get_metric(name), bounds[name])})" if name in bounds else None,
            metric_value=round(value, 6),
        )
        for name, value in measured.items()
    ]
    data = ModelCardData(
        library_name=library,
        license=license_name,
        datasets=[of_hub["name"]] if of_hub else None,
        pipeline_tag=pipeline,
        base_model=base["name"] if base else None,
        tags=["ftapp", "fine-tuned"],
        model_name=_UNSAFE.sub("-", one.run.folder.name) if evaluations else None,
        eval_results=evaluations or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"
