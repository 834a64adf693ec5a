"""Copy what the pages show of runs and experiments into docs/recorded/, without their models.

    python docs/make/record.py RUNS_DIR NAME...

NAME is a run or an experiment in RUNS_DIR, as `ftapp runs` shows it; an experiment brings its runs along.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from outputs import RECORDED, RUNS_SHOWN

_KEPT = ("recipe.toml", "environment.json", "events.jsonl", "layers.json", "experiment.json", "result.json")


def record(runs_dir: Path, name: str) -> None:
    """Copy one run, or one experiment with its runs."""
    for folder in (runs_dir / name, runs_dir / "experiments" / name):
        if not folder.is_dir():
            continue
        copy = RECORDED / folder.relative_to(runs_dir)
        copy.mkdir(parents=True, exist_ok=True)
        for file in _KEPT:
            if (folder / file).exists():
                text = (folder / file).read_text("utf-8").replace(str(runs_dir), str(RUNS_SHOWN))
                (copy / file).write_text(
                    text if file.endswith((".toml", ".jsonl", "layers.json")) else _remove_machine(text), "utf-8"
                )
    facts = runs_dir / "experiments" / name / "experiment.json"
    if facts.exists():
        for member in json.loads(facts.read_text("utf-8"))["runs"]:
            record(runs_dir, member["run"])


def _remove_machine(text: str) -> str:
    """Remove from facts in JSON where the program lies and which kernel runs it."""
    facts = json.loads(text)
    if "command" in facts:
        facts["command"][0] = "ftapp"
    if "platform" in facts:
        system, _, rest = facts["platform"].partition("-")
        facts["platform"] = f"{system}-{rest.split('-')[0]}"
    return json.dumps(facts, indent=2) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs_dir", type=Path)
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    for name in arguments.names:
        record(arguments.runs_dir, name)


if __name__ == "__main__":
    main()
