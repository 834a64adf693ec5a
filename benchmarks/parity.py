"""The first steps of all bundled recipes on all installed backends: `ftapp parity`, once for each recipe.

The quick profiles are compared, of lessons without their arms. Exit code 1: a backend differs by more than rounding, or
fails. Recipes whose weights or data cannot be had are listed below the table and count as nothing.

A difference is the largest of all steps and phases; a step's time is that of the last phase. It takes some minutes for
each recipe on two cores, so it is for the night.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from common import footer, say, seconds, table
from ftapp.common.formatting import format_size
from ftapp.common.processes import make_module_command
from ftapp.recipe import bundled


def main() -> None:
    """Compare the recipes, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names of recipes [default: all bundled ones]")
    parser.add_argument("--steps", type=int, default=10, help="steps of each phase")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--backends", help="with commas, the reference first [default: all installed]")
    parser.add_argument("--offline", action="store_true", help="make no network call")
    given = parser.parse_args()
    options = ["--steps", str(given.steps), "--precision", given.precision]
    options += ["--backends", given.backends] if given.backends else []
    options += ["--offline"] if given.offline else []
    rows, missing, is_equal = [], [], True
    for name in given.recipes or bundled():
        say(f"comparing {name}")
        done = _compare(name, options)
        if not done.stdout:
            missing.append(f"- `{name}`: {done.stderr.strip().splitlines()[-1]}")
            continue
        is_equal &= done.returncode == 0
        found = json.loads(done.stdout)
        made = [_describe(name, backend, found) for backend in found["backends"]]
        made += [[name, backend, *[""] * 6, reason] for backend, reason in found["failures"].items()]
        for row in made:
            say("  ".join(row[1:]))
        rows += made
    table(["recipe", "backend", "loss", "weights", "step, s", "first steps, s", "start, s", "peak memory", ""], rows)
    if missing:
        print("\nNot compared:\n" + "\n".join(missing))
    print(footer(1))
    sys.exit(not is_equal)


def _compare(name: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    command = make_module_command("ftapp.cli.app", "parity", name, "--json", "--profile", "quick", *options)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _describe(name: str, backend: str, found: dict[str, Any]) -> list[str]:
    made = found["backends"][backend]
    losses = max(phase["difference"]["share"] for phase in made["phases"])
    updates = [phase["update"]["share"] for phase in made["phases"] if phase["update"]]
    step = made["phases"][-1]["step_seconds"]
    return [
        name,
        backend,
        f"{losses:.1e}" if updates else "reference",
        f"{max(updates):.1e}" if updates else "",
        "" if step is None else seconds(step),
        seconds(sum(phase["seconds"][0] for phase in made["phases"])),
        seconds(made["start_seconds"]),
        format_size(made["peak_memory"]),
        "; ".join(found["differences"].get(backend, [])),
    ]


if __name__ == "__main__":
    main()
