"""How many requests a second `ftapp serve-model` answers, and how long they take, measured by wrk.

Each request has one text of --words words. The arms are servers with other options: `alone` answers each input in a
batch of its own (--max-batch 1), the others put up to 32 in a batch and wait 0, 2, 5 or 10 ms for them. Each server
is asked by 1, 8 and 32 connections, each of which sends its next request once it has its answer. A first second of each
is not counted.

By default the run is MiniLM on film reviews, trained for one step; --run takes another one that reads texts. wrk has to
be installed (`apt install wrk`). It shares the machine's cores with the server and the model.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import common
from ftapp.common.processes import make_module_command

ARMS = {
    "alone": ("--max-batch", "1", "--max-wait", "0"),
    **{f"wait {wait} ms": ("--max-wait", str(wait)) for wait in (0, 2, 5, 10)},
}
CONNECTIONS = (1, 8, 32)
_RECIPE = ("bert-freeze-attention", "--profile", "quick", "--set", "phase.finetune.steps=1", "--set", "data.limit=200")
_SENTENCE = "the film was slow at first and then it took hold of me with a story that I did not expect at all"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@contextmanager
def serve(run: str, options: Sequence[str]) -> Iterator[str]:
    """Serve a run, and yield the address."""
    command = make_module_command("ftapp.cli", "serve-model", run, "--port", "0", *options)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip() or sys.exit("the server did not start")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def ask(address: str, connections: int, seconds: float, script: Path) -> dict[str, float]:
    """Return requests a second, and the median and 99th percentile of their milliseconds."""
    command = ["wrk", "-t1", f"-c{connections}", "--latency", "-s", str(script), f"{address}/predict"]
    subprocess.run([*command, "-d1s"], stdout=subprocess.DEVNULL, check=True)
    told = subprocess.run([*command, f"-d{seconds:g}s"], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        sys.exit(f"requests failed:\n{told}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert rate
    latencies = {
        f"p{share}": float(value) * _UNITS[unit]
        for share, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", told, re.MULTILINE)
    }
    return {"rate": float(rate[1]), **latencies}


def make_script(folder: Path, words: int) -> Path:
    """Write what wrk sends."""
    sentence = _SENTENCE.split()
    text = " ".join(sentence[at % len(sentence)] for at in range(words))
    script = folder / "post.lua"
    body = json.dumps(json.dumps({"inputs": text}))
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {body}\n', encoding="utf-8"
    )
    return script


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="the folder of a run (default: one that is trained for a step)")
    parser.add_argument("--words", type=int, default=40, help="words of each text (default 40)")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the medians of (default 3)")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="ftapp-benchmark-") as scratch:
        run = args.run or _train(Path(scratch))
        script = make_script(Path(scratch), args.words)
        figures: dict[tuple[str, int], list[dict[str, float]]] = {}
        for number in range(args.rounds):
            names = list(ARMS)
            for arm in [*names[number % len(names) :], *names[: number % len(names)]]:
                with serve(run, ARMS[arm]) as address:
                    for connections in CONNECTIONS:
                        found = ask(address, connections, args.seconds, script)
                        common.say(f"round {number + 1}: {arm}, {connections} connections: {found}")
                        figures.setdefault((arm, connections), []).append(found)
    print("| server | connections | requests/s | p50, ms | p99, ms |\n| --- | ---: | ---: | ---: | ---: |")
    for (arm, connections), measured in figures.items():
        rate, p50, p99 = (statistics.median(each[name] for each in measured) for name in ("rate", "p50", "p99"))
        print(f"| {arm} | {connections} | {rate:.0f} | {p50:.1f} | {p99:.1f} |")
    print(common.footer(args.rounds))


def _train(scratch: Path) -> str:
    command = make_module_command("ftapp.cli", "run", *_RECIPE, "--json", "--runs-dir", str(scratch / "runs"))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ, check=True)
    return str(json.loads(done.stdout)["run"])


if __name__ == "__main__":
    main()
