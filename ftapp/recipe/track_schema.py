"""The table [track]: trackers that also receive the numbers of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ftapp.recipe.section import Section

TRACKERS = {
    "tensorboard": ("tensorboardX", "tensorboardX"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow-skinny sqlalchemy alembic"),
    "trackio": ("trackio", "trackio"),
    "history": None,
}
"""For each tracker, the package that is imported, and what is installed; None where ftapp brings it along."""


def _check_project(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError(f"{name!r} is no name of a project; a name begins and ends with a visible character")
    return name


Project = Annotated[str, Field(max_length=128), AfterValidator(_check_project)]


class Track(Section):
    """Trackers that also receive the numbers of a run, while it goes on.

    The run's own files are complete without them. A process of its own sends the numbers, so a slow or failing tracker
    neither slows nor ends the run. What the recipe does not say is taken from the user's settings.
    """

    tensorboard: bool | None = None
    """Whether event files for TensorBoard are written, into the folder `tensorboard` of the run."""
    wandb: Project | None = None
    """The project of Weights & Biases, PROJECT or ENTITY/PROJECT; empty for none."""
    mlflow: Project | None = None
    """The experiment of MLflow; empty for none. MLFLOW_TRACKING_URI names the server, and without it the numbers are
    kept in the file `mlflow.db` of the folder of runs."""
    trackio: Project | None = None
    """The project of Trackio; empty for none."""
    history: Literal["none", "csv", "parquet"] | None = None
    """Also write steps and evaluations as a table, `history.csv` or `history.parquet`, at the end of the run."""

    def fill(self, usual: Track) -> Track:
        """Return this table with what it does not say taken from another."""
        return Track(**(usual.model_dump(exclude_none=True) | self.model_dump(exclude_none=True)))

    def list_used(self) -> dict[str, str]:
        """List the trackers that are used: the name of each, with its project, its experiment or its kind of file."""
        values = {name: getattr(self, name) for name in TRACKERS}
        return {name: "" if value is True else value for name, value in values.items() if value and value != "none"}
