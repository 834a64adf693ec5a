"""The way in which an experiment is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ftapp.common.errors import Problem, RecipeError


@dataclass(frozen=True)
class Options:
    """The way in which an experiment is run.

    Attributes:
        repeats: How many seeds each arm is run with.
        jobs: How many runs go at once.
        control: Whether the first arm is run twice.
        sweep: Whether the values of the table [sweep] are searched, in the place of running the arms.
        arm: The arm that a sweep searches; None for the recipe without its arms.
    """

    repeats: int = 1
    jobs: int = 1
    control: bool = False
    sweep: bool = False
    arm: str | None = None

    @property
    def given(self) -> bool:
        """Whether the options make an experiment of a recipe without arms."""
        return self.repeats > 1 or self.control

    @property
    def words(self) -> list[str]:
        """The options as the command line takes them."""
        jobs = ["--jobs", str(self.jobs)] if self.jobs > 1 else []
        if self.sweep:
            return [*(["--arm", self.arm] if self.arm else []), *jobs]
        repeats = ["--repeat", str(self.repeats)] if self.repeats > 1 else []
        return [*repeats, *jobs, *(["--control"] if self.control else [])]

    def check(self) -> None:
        """Check that the options are valid, alone and together.

        Raises:
            RecipeError: They are not.
        """
        if problems := [Problem("", "", message) for message in self._find_problems()]:
            raise RecipeError(problems)

    def _find_problems(self) -> Iterator[str]:
        for name, value in {"--repeat": self.repeats, "--jobs": self.jobs}.items():
            if value < 1:
                yield f"{name} {value} is too small; the least is 1"
        if self.sweep and self.given:
            option = "--control" if self.control else f"--repeat {self.repeats}"
            yield f"{option} does not go with a sweep, which repeats its best trials: --set sweep.repeats=N"
        if self.arm is not None and not self.sweep:
            yield f"--arm '{self.arm}' is for a sweep; a recipe with arms runs all of them"
