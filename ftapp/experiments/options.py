"""The way in which an experiment is run."""

from __future__ import annotations

from dataclasses import dataclass

from ftapp.common.errors import Problem, RecipeError


@dataclass(frozen=True)
class Options:
    """The way in which an experiment is run.

    Attributes:
        repeats: How many seeds each arm is run with.
        jobs: How many runs go at once.
        control: Whether the first arm is run twice.
    """

    repeats: int = 1
    jobs: int = 1
    control: bool = False

    @property
    def given(self) -> bool:
        """Whether the options make an experiment of a recipe without arms."""
        return self.repeats > 1 or self.control

    @property
    def words(self) -> list[str]:
        """The options as the command line takes them."""
        repeats = ["--repeat", str(self.repeats)] if self.repeats > 1 else []
        jobs = ["--jobs", str(self.jobs)] if self.jobs > 1 else []
        return [*repeats, *jobs, *(["--control"] if self.control else [])]

    def check(self) -> None:
        """Check the numbers.

        Raises:
            RecipeError: A number is below 1.
        """
        found = {"--repeat": self.repeats, "--jobs": self.jobs}
        wrong = [f"{name} {value} is too small; the least is 1" for name, value in found.items() if value < 1]
        if wrong:
            raise RecipeError([Problem("", "", message) for message in wrong])
